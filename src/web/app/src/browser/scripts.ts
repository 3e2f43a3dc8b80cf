// oxlint-disable-next-line import/default -- Vite makes the module: its default export is the address of the built worker
import clientWorker from "@secure-messaging/sdk/worker?worker&url";

declare global {
  interface Window {
    /** In browsers with Trusted Types. */
    trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(script: Script): string }): { createScriptURL(script: Script): string } };
  }
}

/** The scripts that the app starts beside the page: the service worker, and the worker with keys, store and connection. */
type Script = "shell" | "client";

const urls: Record<Script, string> = { shell: "/sw.js", client: clientWorker };
/** The only script addresses that the page's policy allows the app to create (`trusted-types` in Content-Security-Policy). */
let policy: { createScriptURL(script: Script): string } | undefined;

export function urlOf(script: Script): string {
  policy ??= window.trustedTypes?.createPolicy("app", { createScriptURL: (each) => urls[each] });
  return policy?.createScriptURL(script) ?? urls[script];
}

export const startClientWorker = (): Worker => new Worker(urlOf("client"), { type: "module", name: "client" });
