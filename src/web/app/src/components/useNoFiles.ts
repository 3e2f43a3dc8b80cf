import { useEffect } from "react";
import { useApp } from "../state/context.js";
import { strings } from "../text/strings.js";

const hasFiles = (data: DataTransfer | null): boolean => data?.types.includes("Files") ?? false;

/** A browser leaves the app when a file is dropped on it. The app cannot send files yet, so this prevents it and shows a notice. */
export function useNoFiles(): void {
  const { toasts } = useApp();
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (hasFiles(event.dataTransfer)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      if (hasFiles(event.dataTransfer)) {
        event.preventDefault();
        toasts.show(strings.chat.noFiles);
      }
    };
    const paste = (event: ClipboardEvent): void => {
      // Office programs put a picture on the clipboard beside the text.
      if (hasFiles(event.clipboardData) && !event.clipboardData?.types.includes("text/plain")) {
        event.preventDefault();
        toasts.show(strings.chat.noFiles);
      }
    };
    window.addEventListener("dragover", over);
    window.addEventListener("drop", drop);
    window.addEventListener("paste", paste);
    return () => {
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", drop);
      window.removeEventListener("paste", paste);
    };
  }, [toasts]);
}
