/* QR codes from the camera or from a picture. The pictures stay in the page. */

/** Why there is no picture of the camera. */
export type CameraProblem = "denied" | "none" | "busy" | "unsupported";

/** The camera gives no picture. */
export class NoCamera extends Error {
  override readonly name = "NoCamera";

  constructor(
    readonly why: CameraProblem,
    options?: ErrorOptions,
  ) {
    super(`The camera cannot be used: ${why}.`, options);
  }
}

interface Picture {
  source: CanvasImageSource & ImageBitmapSource;
  width: number;
  height: number;
}

interface Detector {
  detect(source: ImageBitmapSource): Promise<{ rawValue: string }[]>;
}

declare global {
  interface Window {
    /** The shape detection of Chromium on some systems. */
    BarcodeDetector?: { new (options: { formats: string[] }): Detector; getSupportedFormats(): Promise<string[]> };
  }
}

const betweenFramesMs = 80;
/** A larger picture is read in this size: finding a code takes time with the square of it. */
const mostPixels = 1_400;

/** Shows the camera in a video element and reports each text that it sees, until the signal is aborted. Rejects with {@link NoCamera}. */
export async function watchCamera(video: HTMLVideoElement, signal: AbortSignal, onText: (text: string) => void): Promise<void> {
  const stream = await openCamera();
  try {
    if (signal.aborted) return;
    video.srcObject = stream;
    await video.play();
    const read = await reader();
    while (!signal.aborted) {
      const { videoWidth: width, videoHeight: height } = video;
      const text = width > 0 ? await read({ source: video, width, height }) : undefined;
      if (text !== undefined && !signal.aborted) onText(text);
      await new Promise((resolve) => setTimeout(resolve, betweenFramesMs));
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}

/** The text of the QR code in a picture; undefined without one. Rejects when the file is not a picture. */
export async function readPicture(file: Blob): Promise<string | undefined> {
  const source = await createImageBitmap(file);
  try {
    return await (
      await reader()
    )({ source, width: source.width, height: source.height });
  } finally {
    source.close();
  }
}

async function openCamera(): Promise<MediaStream> {
  // An insecure page and some embedded browsers have no media devices.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new NoCamera("unsupported");
  try {
    return await devices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1_280 }, height: { ideal: 960 } } });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    throw new NoCamera(name === "NotAllowedError" || name === "SecurityError" ? "denied" : name === "NotFoundError" ? "none" : "busy", { cause: error });
  }
}

/** The browser's detector where there is one that reads QR codes, else the library, which is loaded now. */
async function reader(): Promise<(picture: Picture) => Promise<string | undefined>> {
  const native = await detector();
  const { decodeQR } = await import("qr/decode.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  return async ({ source, width, height }) => {
    // Some browsers have the interface without the service behind it.
    const found = await native?.detect(source).catch((error: unknown) => {
      console.warn("The browser's detector of QR codes failed:", error);
      return [];
    });
    if (found?.[0]) return found[0].rawValue;
    const scale = Math.min(1, mostPixels / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    try {
      return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      // The library throws for a picture without a code, which is most frames.
      return undefined;
    }
  };
}

async function detector(): Promise<Detector | undefined> {
  const { BarcodeDetector } = window;
  return BarcodeDetector && (await BarcodeDetector.getSupportedFormats()).includes("qr_code") ? new BarcodeDetector({ formats: ["qr_code"] }) : undefined;
}
