import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState, type Ref } from "react";
import { IconButton } from "../../components/Button.js";
import { Icon } from "../../components/Icon.js";
import type { Message, Reference } from "../../base/sdk.js";
import { referenceTo } from "../../base/reference.js";
import { useApp } from "../../state/context.js";
import { strings } from "../../text/strings.js";
import { gist, wordsOf } from "../../text/gist.js";

/** The message that the composer edits or answers. */
export type Aim = { kind: "reply"; to: Message } | { kind: "edit"; message: Message } | undefined;

export interface ComposerHandle {
  focus(): void;
}

interface Props {
  roomId: string;
  aim: Aim;
  nameOf: (userId: string | undefined) => string;
  onAim: (aim: Aim) => void;
  /** Stores the text and deletes the draft. Rejects when the text was not stored. */
  onSend: (text: string, replyTo: Reference | undefined) => Promise<void>;
  onEdit: (message: Message, text: string) => Promise<void>;
  /** Called to edit the newest own message. */
  onEditLast: () => void;
  /** Whether sends wait for an answer of the user: the text stays a draft. */
  held: boolean;
  ref?: Ref<ComposerHandle>;
}

/** A content has at most 32,255 bytes, including the JSON around the text. */
const maxBytes = 31_900;
const draftAfterMs = 300;
const typingEveryMs = 2_500;
const encoder = new TextEncoder();
const sizeOf = (text: string): number => encoder.encode(JSON.stringify(text)).length;

/** The input for messages. Its text is stored as a draft. */
export function Composer({ roomId, aim, nameOf, onAim, onSend, onEdit, onEditLast, held, ref }: Props) {
  const { client, toasts, unsent } = useApp();
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState("");
  const loaded = useRef(false);
  const unsaved = useRef<{ timer: ReturnType<typeof setTimeout>; text: string }>(undefined);
  const kept = useRef<string>(undefined);
  const typed = useRef(0);
  const tooLong = text.length > maxBytes / 6 && sizeOf(text) > maxBytes;

  useImperativeHandle(ref, () => ({ focus: () => area.current?.focus() }), []);

  const flush = useCallback(() => {
    const waiting = unsaved.current;
    if (!waiting) return;
    clearTimeout(waiting.timer);
    unsaved.current = undefined;
    client.setDraft(roomId, waiting.text).catch((error: unknown) => {
      // The text stays in the page; the next change tries again to store it.
      console.warn("The draft is not stored:", error);
    });
  }, [client, roomId]);

  const saveDraft = useCallback(
    (draft: string) => {
      clearTimeout(unsaved.current?.timer);
      unsaved.current = { text: draft, timer: setTimeout(flush, draftAfterMs) };
    },
    [flush],
  );

  useEffect(() => {
    let left = false;
    // A text that was sent is no draft any more.
    void unsent.recovered
      .then(() => client.draft(roomId))
      .then(
        (draft) => {
          if (!left && !loaded.current) {
            loaded.current = true;
            setText((now) => (now === "" ? draft : now));
          }
        },
        (error: unknown) => console.warn("The draft could not be read:", error),
      );
    window.addEventListener("pagehide", flush);
    return () => {
      left = true;
      window.removeEventListener("pagehide", flush);
      flush();
    };
  }, [client, roomId, flush, unsent]);

  // While a message is edited, it replaces the draft.
  useEffect(() => {
    if (aim?.kind === "edit") {
      kept.current ??= area.current?.value ?? "";
      setText(wordsOf(aim.message) ?? "");
    } else if (kept.current !== undefined) {
      setText(kept.current);
      kept.current = undefined;
    }
  }, [aim]);

  useEffect(() => {
    if (aim) area.current?.focus();
  }, [aim]);

  // The area grows with its text in browsers without field-sizing.
  useLayoutEffect(() => {
    const element = area.current!;
    if (CSS.supports("field-sizing", "content")) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (value: string): void => {
    loaded.current = true;
    setText(value);
    if (aim?.kind === "edit") return;
    saveDraft(value);
    if (value.trim() !== "" && Date.now() - typed.current > typingEveryMs) {
      typed.current = Date.now();
      client.typing(roomId).catch((error: unknown) => console.warn("The typing signal could not be sent:", error));
    }
  };

  const submit = (): void => {
    const words = text.trim();
    if (words === "" || tooLong || held) return;
    area.current?.focus();
    if (aim?.kind === "edit") {
      const { message } = aim;
      onAim(undefined);
      if (wordsOf(message) !== words) onEdit(message, words).catch(toasts.fail);
      return;
    }
    const replyTo = aim?.kind === "reply" ? referenceTo(aim.to) : undefined;
    setText("");
    onAim(undefined);
    clearTimeout(unsaved.current?.timer);
    unsaved.current = undefined;
    onSend(words, replyTo).catch((error: unknown) => {
      toasts.fail(error);
      // The text was not stored, so it returns to the input. An edited message is no draft.
      const now = kept.current ?? area.current?.value ?? "";
      const back = now === "" ? words : `${words}\n${now}`;
      if (kept.current === undefined) setText(back);
      else kept.current = back;
      saveDraft(back);
    });
  };

  const cancel = (): void => {
    onAim(undefined);
    area.current?.focus();
  };
  const target = aim?.kind === "reply" ? aim.to : aim?.message;
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {aim && target && (
        <div className="aim">
          <Icon name={aim.kind === "reply" ? "reply" : "edit"} size="small" />
          <div className="grow">
            <strong>{aim.kind === "edit" ? strings.chat.editing : strings.chat.replyTo(target.mine ? strings.common.you : nameOf(target.from?.userId))}</strong>
            <div className="ellipsis muted small" dir="auto">
              {gist(target)}
            </div>
          </div>
          <IconButton icon="close" small label={aim.kind === "reply" ? strings.chat.cancelReply : strings.chat.cancelEdit} onClick={cancel} />
        </div>
      )}
      {tooLong && (
        <div className="too-long" role="alert">
          {strings.chat.tooLong}
        </div>
      )}
      <div className="write">
        <textarea
          ref={area}
          data-place="writing"
          rows={1}
          dir="auto"
          value={text}
          aria-label={strings.chat.write}
          placeholder={strings.chat.placeholder}
          title={strings.chat.sendKeys}
          aria-keyshortcuts="Enter"
          enterKeyHint="send"
          autoComplete="off"
          spellCheck
          onChange={(event) => change(event.target.value)}
          onBlur={flush}
          onKeyDown={(event) => {
            // During composition, Enter belongs to the input method.
            // oxlint-disable-next-line typescript/no-deprecated -- Safari reports composition only as key code 229
            if (event.nativeEvent.isComposing || event.keyCode === 229) return;
            if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              submit();
            } else if (event.key === "Escape" && aim) {
              event.preventDefault();
              event.stopPropagation();
              cancel();
            } else if (event.key === "ArrowUp" && text === "" && !aim) {
              event.preventDefault();
              onEditLast();
            }
          }}
        />
        <button
          type="submit"
          className="send"
          aria-label={aim?.kind === "edit" ? strings.common.save : strings.chat.send}
          title={held ? strings.trust.stoppedHint : strings.chat.send}
          disabled={text.trim() === "" || tooLong || held}
        >
          <Icon name={aim?.kind === "edit" ? "check" : "send"} />
        </button>
      </div>
    </form>
  );
}
