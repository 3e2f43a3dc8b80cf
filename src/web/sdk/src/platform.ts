import { HubConnectionBuilder, HttpTransportType } from "@microsoft/signalr";
import { SecureMessagingError } from "./errors.js";

/** What the SDK needs and a platform may lack. */
export type PlatformFeature = "secureContext" | "fetch" | "WebCrypto" | "Ed25519" | "X25519" | "WebSocket";

const remedies: Record<PlatformFeature, string> = {
  secureContext: "a page that came over https:// or from localhost: open this address with https:// at its front",
  fetch: "fetch and AbortController: use Node 20 or a current browser",
  WebCrypto: "WebCrypto (crypto.subtle and crypto.randomUUID): use Node 20 or a current browser; on React Native a polyfill must bring it",
  Ed25519: "Ed25519 in WebCrypto: use Chrome or Edge 137, Firefox 130, Safari 17 or Node 20, or later",
  X25519: "X25519 in WebCrypto: use Chrome or Edge 137, Firefox 130, Safari 17 or Node 20, or later",
  WebSocket: "a WebSocket: in a server-side bundle (Next.js: `serverExternalPackages`) leave @secure-messaging/sdk and @microsoft/signalr out of the bundle",
};

let complete: Promise<PlatformFeature[]> | undefined;

/** What this platform lacks for end-to-end encryption; empty when a client can run here. Nothing is sent. */
export async function missingFeatures(): Promise<PlatformFeature[]> {
  const missing = await (complete ??= look());
  // Polyfills may come later: only the good answer is kept.
  if (missing.length > 0)
    complete = undefined;
  return missing;
}

/** @internal Called before anything is sent, so that no account is made that this platform could not use. */
export async function requirePlatform(): Promise<void> {
  const missing = await missingFeatures();
  if (missing.length > 0)
    throw SecureMessagingError.of("UnsupportedPlatform", `This platform cannot run the client. It lacks ${missing.map((feature) => remedies[feature]).join("; and ")}.`);
}

async function look(): Promise<PlatformFeature[]> {
  const missing: PlatformFeature[] = [];
  if (typeof fetch !== "function" || typeof AbortController !== "function")
    missing.push("fetch");
  const { subtle, randomUUID, getRandomValues } = (globalThis.crypto ?? {}) as Partial<Crypto>;
  if (!subtle || !randomUUID || !getRandomValues)
    missing.push((globalThis as { isSecureContext?: boolean }).isSecureContext === false ? "secureContext" : "WebCrypto");
  if (subtle) {
    const [ed25519, x25519] = await Promise.all([works(subtle, "Ed25519", ["sign", "verify"]), works(subtle, "X25519", ["deriveBits"])]);
    if (!ed25519)
      missing.push("Ed25519");
    if (!x25519)
      missing.push("X25519");
  }
  if (!hasWebSocket())
    missing.push("WebSocket");
  return missing;
}

async function works(subtle: SubtleCrypto, name: string, uses: KeyUsage[]): Promise<boolean> {
  try {
    await subtle.generateKey(name, true, uses);
    return true;
  } catch {
    // That is the answer: the caller names what is missing.
    return false;
  }
}

/** SignalR brings its own in Node, by `require`, which some bundlers take away. */
function hasWebSocket(): boolean {
  try {
    const hub = new HubConnectionBuilder().withUrl("http://localhost/", { transport: HttpTransportType.WebSockets, skipNegotiation: true }).build();
    const { connection } = hub as unknown as { connection?: { _options?: { WebSocket?: unknown } } };
    // As SignalR will find it; should it hide its options one day, the connection attempt tells.
    return connection?._options === undefined || connection._options.WebSocket !== undefined && connection._options.WebSocket !== null;
  } catch {
    // SignalR refuses to be built without one.
    return false;
  }
}
