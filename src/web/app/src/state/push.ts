import type { SharedClient } from "../base/sdk.js";

/** The state of push notifications in this browser. */
export type PushState = "unsupported" | "serverOff" | "denied" | "off" | "on";

/** The message of the service worker when the browser has replaced its subscription. */
export const subscriptionChanged = "pushsubscriptionchange";

const supported = (): boolean => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const subscriptionOf = async (): Promise<PushSubscription | null | undefined> =>
  (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription();

/** `on` only when the browser has a subscription and the server has an endpoint for this session. */
export async function pushState(client: SharedClient): Promise<PushState> {
  if (!supported()) return "unsupported";
  if ((await client.pushKey()) === undefined) return "serverOff";
  if (Notification.permission === "denied") return "denied";
  return (await subscriptionOf()) && (await client.pushRegistered()) ? "on" : "off";
}

/** Asks the user for permission and the browser for a subscription, and registers its endpoint. */
export async function turnPushOn(client: SharedClient): Promise<PushState> {
  const key = await client.pushKey();
  if (key === undefined) return "serverOff";
  if ((await Notification.requestPermission()) !== "granted") return Notification.permission === "denied" ? "denied" : "off";
  const before = await subscriptionOf();
  const subscription = await subscribe(key);
  try {
    await client.setPushEndpoint(subscription.endpoint);
  } catch (error) {
    // A former subscription may belong to another account of this browser.
    if (!before) await subscription.unsubscribe();
    throw error;
  }
  return "on";
}

/** Removes the endpoint from the server first: from then on this browser is not woken. */
export async function turnPushOff(client: SharedClient): Promise<PushState> {
  await client.setPushEndpoint(undefined);
  await (await subscriptionOf())?.unsubscribe();
  return "off";
}

/**
 * While the server has an endpoint for this session: registers the current one again, once for each page and after each change, so that the server has no dead
 * endpoint.
 */
export function watchPush(client: SharedClient): () => void {
  if (!supported()) return () => undefined;
  let registered = false;
  const register = (): void => {
    const { state, connected } = client.status;
    if (registered || state !== "ready" || !connected) return;
    registered = true;
    renew(client).catch((error: unknown) =>
      console.warn("The server may not be able to wake this browser; turn notifications off and on again in the settings:", error),
    );
  };
  const onMessage = (event: MessageEvent): void => {
    if (event.data !== subscriptionChanged) return;
    registered = false;
    register();
  };
  const off = client.on("status", register);
  navigator.serviceWorker.addEventListener("message", onMessage);
  register();
  return () => {
    off();
    navigator.serviceWorker.removeEventListener("message", onMessage);
  };
}

async function renew(client: SharedClient): Promise<void> {
  if (!(await client.pushRegistered())) return;
  const key = await client.pushKey();
  const subscription = (await subscriptionOf()) ?? (key !== undefined && Notification.permission === "granted" ? await subscribe(key) : undefined);
  await client.setPushEndpoint(subscription?.endpoint);
}

async function subscribe(key: string): Promise<PushSubscription> {
  const { pushManager } = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  try {
    return await pushManager.subscribe(options);
  } catch (error) {
    // The existing subscription was made with another key of the server.
    const old = error instanceof DOMException && error.name === "InvalidStateError" ? await pushManager.getSubscription() : null;
    if (!old) throw error;
    await old.unsubscribe();
    return pushManager.subscribe(options);
  }
}
