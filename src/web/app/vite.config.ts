import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { strings } from "./src/text/strings.js";

/** The server for `npm run dev`. */
const server = process.env.SECUREMESSAGING_URL ?? "http://127.0.0.1:5080";

/** Writes the list of the app's files into the service worker. With it the worker's bytes change, and the browser detects a new version. */
const shell: Plugin = {
  name: "app-shell",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") this.error("The service worker is missing.");
      const built = Object.keys(bundle)
        .filter((name) => name.startsWith("assets/"))
        .map((name) => `/${name}`)
        .toSorted();
      const hash = createHash("sha256");
      for (const file of readdirSync("public").toSorted()) hash.update(readFileSync(`public/${file}`));
      for (const part of Object.values(bundle).toSorted((a, b) => (a.fileName < b.fileName ? -1 : 1)))
        hash.update(part.fileName).update(part.type === "chunk" ? part.code : part.source);
      const files = ["/", ...readdirSync("public").map((name) => `/${name}`), ...built];
      worker.code = worker.code.replace(/["'`]__FILES__["'`]/, JSON.stringify(files)).replace("__VERSION__", hash.digest("hex").slice(0, 16));
    },
  },
};

const licenceFile = "third-party-licences.txt";
/** Packages that are published without their licence text, and the file with the text. */
const missingTexts = { "@microsoft/signalr": "dotnet.txt", "@microsoft/signalr-protocol-msgpack": "dotnet.txt" };

/** Adds the missing licence texts to Vite's list of licences. */
const licences: Plugin = {
  name: "licences",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      const file = bundle[licenceFile];
      if (file?.type !== "asset") this.error("The list of licences is missing.");
      let text = file.source.toString();
      for (const [name, licence] of Object.entries(missingTexts)) {
        const heading = new RegExp(`^## ${name} - .*\\n(?=\\n## |\\s*$)`, "m");
        if (!heading.test(text)) this.error(`${name} now has a licence text of its own, or is no longer in the app.`);
        text = text.replace(heading, (found) => `${found}\n${readFileSync(`licences/${licence}`, "utf8")}`);
      }
      file.source = text;
    },
  },
};

/** Writes a Brotli file of the highest quality beside each text file: that is too slow at request time. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  writeBundle({ dir }) {
    for (const name of readdirSync(dir!, { recursive: true, encoding: "utf8" }).filter((each) => /\.(?:html|js|css|svg|txt|webmanifest)$/.test(each))) {
      const content = readFileSync(`${dir}/${name}`);
      const params = {
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      };
      writeFileSync(`${dir}/${name}.br`, brotliCompressSync(content, { params }));
    }
  },
};

export default defineConfig({
  plugins: [react(), licences, shell, compressed],
  worker: { format: "es" },
  define: { PUSH_TITLE: JSON.stringify(strings.push.title), PUSH_BODY: JSON.stringify(strings.push.body) },
  build: {
    target: "es2022",
    license: { fileName: licenceFile },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The budget of the first load is 250 KB after gzip. A test measures it.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: { app: "index.html", sw: "sw/sw.ts" },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  server: { proxy: { "/v1": server, "/.well-known": server, "/hubs": { target: server, ws: true } } },
});
