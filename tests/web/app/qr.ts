import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator } from "@playwright/test";

/** What Chromium's fake camera shows: it opens the file when a page asks for the camera. */
export const cameraFile = join(tmpdir(), `sm-camera-${process.pid}.y4m`);

export const cameraArguments = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${cameraFile}`];

const [width, height] = [640, 480];

/** Holds what a page shows before the camera: the code takes most of the picture, a little off the centre, on grey. */
export async function holdUp(code: Locator): Promise<void> {
  const luma = await code.evaluate(
    async (svg, [w, h]) => {
      const image = new Image();
      const copy = svg.cloneNode(true) as SVGElement;
      copy.setAttribute("width", "400");
      copy.setAttribute("height", "400");
      image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
      const context = canvas.getContext("2d")!;
      context.fillStyle = "#999";
      context.fillRect(0, 0, w!, h!);
      context.drawImage(image, 140, 30, 420, 420);
      return [...context.getImageData(0, 0, w!, h!).data].filter((_, i) => i % 4 === 0);
    },
    [width, height],
  );
  const frame = Buffer.concat([Buffer.from("FRAME\n"), Buffer.from(luma), Buffer.alloc((width * height) / 2, 128)]);
  writeFileSync(cameraFile, Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip C420jpeg\n`), ...Array.from({ length: 10 }, () => frame)]));
}
