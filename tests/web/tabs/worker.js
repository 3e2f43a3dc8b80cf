// The SDK's worker, which a test can block, see run.mjs.
import "../../../src/web/sdk/dist/tabs/worker.js";

addEventListener("message", ({ data }) => {
  if (data.kind === "block") for (const end = Date.now() + data.ms; Date.now() < end;);
});
