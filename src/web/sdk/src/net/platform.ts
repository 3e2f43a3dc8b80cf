import { SecureMessagingError } from "../base/errors.js";

/** A feature that the SDK needs and that a platform may lack. */
export type PlatformFeature = "secureContext" | "fetch" | "WebCrypto" | "Ed25519" | "X25519" | "WebSocket";

const remedies: Record<PlatformFeature, string> = {
  secureContext: "a secure context: open this page with https://, or from localhost",
  fetch: "fetch and AbortController: use Node 20 or a current browser",
  WebCrypto: "WebCrypto (crypto.subtle and crypto.randomUUID): use Node 20 or a current browser; React Native needs a polyfill",
  Ed25519: "Ed25519 in WebCrypto: use Chrome or Edge 137, Firefox 130, Safari 17 or Node 20, or later",
  X25519: "X25519 in WebCrypto: use Chrome or Edge 137, Firefox 130, Safari 17 or Node 20, or later",
  WebSocket: "a WebSocket: in a server-side bundle (Next.js: `serverExternalPackages`) exclude @secure-messaging/sdk and @microsoft/signalr",
};

let complete: Promise<PlatformFeature[]> | undefined;

/** The features that this platform lacks; empty when a client can run. Sends nothing. */
export async function missingFeatures(): Promise<PlatformFeature[]> {
  const missing = await (complete ??= look());
  // A polyfill may be loaded later, so only the complete result is kept.
  if (missing.length > 0) complete = undefined;
  return missing;
}

/** @internal Called before anything is sent, so that no account is created that this platform cannot use. */
export async function requirePlatform(): Promise<void> {
  const missing = await missingFeatures();
  if (missing.length > 0)
    throw SecureMessagingError.of(
      "UnsupportedPlatform",
      `This platform cannot run the client. It lacks ${missing.map((feature) => remedies[feature]).join("; and ")}.`,
    );
}

async function look(): Promise<PlatformFeature[]> {
  const missing: PlatformFeature[] = [];
  if (typeof fetch !== "function" || typeof AbortController !== "function") missing.push("fetch");
  const { subtle, randomUUID, getRandomValues } = (globalThis.crypto ?? {}) as Partial<Crypto>;
  if (!subtle || !randomUUID || !getRandomValues)
    missing.push((globalThis as { isSecureContext?: boolean }).isSecureContext === false ? "secureContext" : "WebCrypto");
  if (subtle) {
    const [ed25519, x25519] = await Promise.all([works(subtle, "Ed25519", ["sign", "verify"]), works(subtle, "X25519", ["deriveBits"])]);
    if (!ed25519) missing.push("Ed25519");
    if (!x25519) missing.push("X25519");
  }
  if (!(await hasWebSocket())) missing.push("WebSocket");
  return missing;
}

async function works(subtle: SubtleCrypto, name: string, uses: KeyUsage[]): Promise<boolean> {
  try {
    await subtle.generateKey(name, true, uses);
    return true;
  } catch {
    // The result says it: the caller names the missing feature.
    return false;
  }
}

/** In Node, SignalR loads its own WebSocket with `require`, which some bundlers remove. */
async function hasWebSocket(): Promise<boolean> {
  // A page uses its own. It does not need to load SignalR for the answer, because the client may run in a worker.
  if (typeof document !== "undefined") return typeof WebSocket === "function";
  const { HubConnectionBuilder, HttpTransportType } = await import("@microsoft/signalr");
  try {
    const hub = new HubConnectionBuilder().withUrl("http://localhost/", { transport: HttpTransportType.WebSockets, skipNegotiation: true }).build();
    const { connection } = hub as unknown as { connection?: { _options?: { WebSocket?: unknown } } };
    // This is what SignalR will use. If SignalR hides its options one day, the connection attempt reports the failure.
    return connection?._options === undefined || (connection._options.WebSocket !== undefined && connection._options.WebSocket !== null);
  } catch {
    // SignalR cannot be built without a WebSocket.
    return false;
  }
}
