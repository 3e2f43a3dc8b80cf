// A bundled page for a real browser, and counted checks. Shared by interop/browser.mjs and tabs/run.mjs.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { build } from "../../src/web/node_modules/vite/dist/node/index.js";
import { freePort } from "./ports.mjs";

/**
 * Bundles page.js of the folder `here` into `folder`, and serves a page that loads it. A worker.js in `here` is bundled too.
 * @param onResult - Receives the JSON that the page posts.
 */
export async function servePage(here, folder, onResult = () => undefined) {
  await build({
    configFile: false,
    root: here,
    logLevel: "error",
    build: {
      outDir: join(folder, "page"),
      minify: true,
      target: "es2022",
      lib: {
        entry: ["page.js", "worker.js"].map((name) => join(here, name)).filter((file) => existsSync(file)),
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
    },
  });
  const scripts = readdirSync(join(folder, "page"));
  const html = `<!doctype html><meta charset=utf-8><script type=module src=/${scripts.find((name) => name.startsWith("page."))}></script>`;
  const pages = createServer((request, response) => {
    const script = request.url.slice(1);
    if (request.method === "POST") {
      let text = "";
      request
        .on("data", (chunk) => {
          text += chunk;
        })
        .on("end", () => {
          response.end();
          onResult(JSON.parse(text));
        });
    } else if (scripts.includes(script)) response.setHeader("content-type", "text/javascript").end(readFileSync(join(folder, "page", script)));
    else response.setHeader("content-type", "text/html").end(html);
  });
  const port = await freePort();
  await new Promise((resolve) => pages.listen(port, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      pages.closeAllConnections();
      pages.close();
    },
  };
}

/** Checks that are counted under a name. */
export function checks(name) {
  let passed = 0;
  let failed = 0;
  return {
    check: (what, good, detail = "") => {
      if (good) passed++;
      else failed++;
      console.log(`${good ? "ok     " : "FAILED "} ${name}: ${what}${good || detail === "" ? "" : `: ${detail}`}`);
    },
    /** Ends the program. */
    finish: () => {
      console.log(`${passed} passed, ${failed} failed`);
      process.exit(failed === 0 ? 0 : 1);
    },
  };
}
