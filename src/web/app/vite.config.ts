import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { strings } from "./src/strings.js";

/** The server that `npm run dev` talks to. */
const server = process.env.SECUREMESSAGING_URL ?? "http://127.0.0.1:5080";

/** Tells the service worker which files make up the app. Its own bytes change with them, and that is how a browser learns of a new version. */
const shell: Plugin = {
  name: "app-shell",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk")
        this.error("The service worker is missing.");
      const built = Object.keys(bundle).filter((name) => name.startsWith("assets/")).map((name) => `/${name}`).sort();
      const hash = createHash("sha256");
      for (const file of readdirSync("public").sort())
        hash.update(readFileSync(`public/${file}`));
      for (const part of Object.values(bundle).sort((a, b) => a.fileName < b.fileName ? -1 : 1))
        hash.update(part.fileName).update(part.type === "chunk" ? part.code : part.source);
      const files = ["/", ...readdirSync("public").map((name) => `/${name}`), ...built];
      worker.code = worker.code.replace(/["'`]__FILES__["'`]/, JSON.stringify(files)).replace("__VERSION__", hash.digest("hex").slice(0, 16));
    },
  },
};

/** Puts beside each text its best compression, which takes too long while a browser waits. The server sends it to browsers that take brotli. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  writeBundle({ dir }) {
    for (const name of readdirSync(dir!, { recursive: true, encoding: "utf8" }).filter((each) => /\.(?:html|js|css|svg|webmanifest)$/.test(each))) {
      const content = readFileSync(`${dir}/${name}`);
      const params = { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT, [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
      writeFileSync(`${dir}/${name}.br`, brotliCompressSync(content, { params }));
    }
  },
};

export default defineConfig({
  plugins: [react(), shell, compressed],
  define: { PUSH_TITLE: JSON.stringify(strings.push.title), PUSH_BODY: JSON.stringify(strings.push.body) },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The budget is 250 KB of gzip for the first load; tests measure it.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: { app: "index.html", sw: "sw/sw.ts" },
      output: { entryFileNames: (chunk) => chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js" },
    },
  },
  server: { proxy: { "/v1": server, "/.well-known": server, "/hubs": { target: server, ws: true } } },
});
