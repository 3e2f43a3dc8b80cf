import { useEffect, useRef, useState } from "react";
import { NoCamera, readPicture, watchCamera, type CameraProblem } from "../browser/camera.js";
import { sentence } from "../text/errors.js";
import { strings } from "../text/strings.js";
import { Note, Spinner } from "./Button.js";
import { Icon } from "./Icon.js";

const text = strings.scan;

interface Props {
  /** Called with each text that is seen. When it rejects, the error is shown and the scan goes on. */
  onText: (text: string) => Promise<void>;
  /** Sentences for some error codes. */
  special?: Partial<Record<string, string>>;
}

/** Reads a QR code with the camera, or from a picture that the user chooses. */
export function Scanner({ onText, special }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [camera, setCamera] = useState<"starting" | "on" | CameraProblem>("starting");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const latest = useRef({ onText, special });
  latest.current = { onText, special };
  /** The text that is being handled, or was refused. The camera sees it many times. */
  const taken = useRef<string>(undefined);

  const take = useRef(async (seen: string): Promise<void> => {
    if (taken.current === seen) return;
    taken.current = seen;
    setBusy(true);
    setError(undefined);
    try {
      await latest.current.onText(seen);
    } catch (thrown) {
      setError(sentence(thrown, latest.current.special));
    } finally {
      setBusy(false);
    }
  });

  useEffect(() => {
    const stop = new AbortController();
    const element = video.current!;
    const playing = (): void => setCamera("on");
    element.addEventListener("playing", playing, { signal: stop.signal });
    watchCamera(element, stop.signal, (seen) => void take.current(seen)).catch((thrown: unknown) => {
      if (stop.signal.aborted) return;
      console.warn("The camera cannot be used:", thrown);
      setCamera(thrown instanceof NoCamera ? thrown.why : "busy");
    });
    return () => stop.abort();
  }, []);

  const choose = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    taken.current = undefined;
    setError(undefined);
    try {
      const seen = await readPicture(file);
      if (seen === undefined) setError(text.nothing);
      else await take.current(seen);
    } catch (thrown) {
      console.warn("The picture could not be read:", thrown);
      setError(text.noPicture);
    }
  };

  const problem = camera === "starting" || camera === "on" ? undefined : text.problems[camera];
  return (
    <div className="scanner">
      <div className={`view ${problem === undefined ? "" : "off"}`}>
        <video ref={video} muted playsInline aria-label={text.view} />
        {(camera === "starting" || busy) && <Spinner label={camera === "starting" ? text.starting : text.checking} />}
        {problem !== undefined && <Icon name="camera" />}
      </div>
      {problem !== undefined && <Note icon="info">{problem}</Note>}
      {error !== undefined && (
        <Note tone="bad" icon="warning">
          {error}
        </Note>
      )}
      <label className="button soft">
        <input
          type="file"
          accept="image/*"
          className="visually-hidden"
          onChange={(event) => {
            void choose(event.target.files?.[0]);
            event.target.value = "";
          }}
        />
        {text.picture}
      </label>
    </div>
  );
}
