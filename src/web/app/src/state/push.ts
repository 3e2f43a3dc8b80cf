import type { SharedClient } from "../sdk.js";

/** What a browser can do about push. */
export type PushState = "unsupported" | "serverOff" | "denied" | "off" | "on";

/** What the service worker says when the browser has replaced its subscription. */
export const subscriptionChanged = "pushsubscriptionchange";

const supported = (): boolean => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const subscriptionOf = async (): Promise<PushSubscription | null | undefined> => (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription();

/** On only when both sides say so: the browser has a subscription, and the server has an endpoint for this session. */
export async function pushState(client: SharedClient): Promise<PushState> {
  if (!supported())
    return "unsupported";
  if (await client.pushKey() === undefined)
    return "serverOff";
  if (Notification.permission === "denied")
    return "denied";
  return await subscriptionOf() && await client.pushRegistered() ? "on" : "off";
}

/** Asks the user, then the browser's push service, and tells the server where to wake this browser. */
export async function turnPushOn(client: SharedClient): Promise<PushState> {
  const key = await client.pushKey();
  if (key === undefined)
    return "serverOff";
  if (await Notification.requestPermission() !== "granted")
    return Notification.permission === "denied" ? "denied" : "off";
  const before = await subscriptionOf();
  const subscription = await subscribe(key);
  try {
    await client.setPushEndpoint(subscription.endpoint);
  } catch (error) {
    // Another account of this browser may be woken by a subscription that was there before.
    if (!before)
      await subscription.unsubscribe();
    throw error;
  }
  return "on";
}

/** The server forgets first: after that nothing can wake this browser. */
export async function turnPushOff(client: SharedClient): Promise<PushState> {
  await client.setPushEndpoint(undefined);
  await (await subscriptionOf())?.unsubscribe();
  return "off";
}

/** While the server wants to wake this session's browser: tells it again where, once for each page and when the subscription has changed, so that it never keeps an endpoint that is dead. */
export function watchPush(client: SharedClient): () => void {
  if (!supported())
    return () => undefined;
  let told = false;
  const tell = (): void => {
    const { state, connected } = client.status;
    if (told || state !== "ready" || !connected)
      return;
    told = true;
    renew(client).catch((error: unknown) => console.warn("The server may not be able to wake this browser; turn notifications off and on again in the settings:", error));
  };
  const heard = (event: MessageEvent): void => {
    if (event.data !== subscriptionChanged)
      return;
    told = false;
    tell();
  };
  const off = client.on("status", tell);
  navigator.serviceWorker.addEventListener("message", heard);
  tell();
  return () => {
    off();
    navigator.serviceWorker.removeEventListener("message", heard);
  };
}

async function renew(client: SharedClient): Promise<void> {
  if (!await client.pushRegistered())
    return;
  const key = await client.pushKey();
  const subscription = await subscriptionOf() ?? (key !== undefined && Notification.permission === "granted" ? await subscribe(key) : undefined);
  await client.setPushEndpoint(subscription?.endpoint);
}

async function subscribe(key: string): Promise<PushSubscription> {
  const { pushManager } = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  try {
    return await pushManager.subscribe(options);
  } catch (error) {
    // The server has another key than the one of the subscription that is there.
    const old = error instanceof DOMException && error.name === "InvalidStateError" ? await pushManager.getSubscription() : null;
    if (!old)
      throw error;
    await old.unsubscribe();
    return pushManager.subscribe(options);
  }
}
