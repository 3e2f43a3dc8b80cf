import type { SharedClient } from "../sdk.js";

/** What a browser can do about push. `unknown`: the server has not been asked. */
export type PushState = "unsupported" | "serverOff" | "denied" | "off" | "on";

const supported = (): boolean => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

export async function pushState(client: SharedClient): Promise<PushState> {
  if (!supported())
    return "unsupported";
  if (await client.pushKey() === undefined)
    return "serverOff";
  if (Notification.permission === "denied")
    return "denied";
  return await (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription() ? "on" : "off";
}

/** Asks the user, then the browser's push service, and tells the server where to wake this browser. */
export async function turnPushOn(client: SharedClient): Promise<PushState> {
  const key = await client.pushKey();
  if (key === undefined)
    return "serverOff";
  if (await Notification.requestPermission() !== "granted")
    return Notification.permission === "denied" ? "denied" : "off";
  const { pushManager } = await navigator.serviceWorker.ready;
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  try {
    await client.setPushEndpoint(subscription.endpoint);
  } catch (error) {
    await subscription.unsubscribe();
    throw error;
  }
  return "on";
}

/** The server forgets first: after that nothing can wake this browser. */
export async function turnPushOff(client: SharedClient): Promise<PushState> {
  await client.setPushEndpoint(undefined);
  await (await (await navigator.serviceWorker.getRegistration())?.pushManager.getSubscription())?.unsubscribe();
  return "off";
}
