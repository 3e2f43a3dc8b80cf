/*
 * Opens the app without a network, and shows a notification for a push. A push has no content, so the notification has none either.
 * Messages, keys and tokens never pass through the worker: it only answers requests for the app's files from its cache.
 */
const worker = self as unknown as ServiceWorkerGlobalScope;

/** Inserted by the build, see vite.config.ts. */
declare const PUSH_TITLE: string;
declare const PUSH_BODY: string;

/** Inserted by the build: all files of the app. Their names change with their content. */
const files = "__FILES__" as unknown as string[];

const prefix = "app-";
/** Inserted by the build: a hash of all files. */
const version = `${prefix}__VERSION__`;

worker.addEventListener("install", (event) => {
  // Bypasses the HTTP cache: an old page with new scripts would not work.
  event.waitUntil(caches.open(version).then((cache) => cache.addAll(files.map((file) => new Request(file, { cache: "reload" })))));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith(prefix) && name !== version) await caches.delete(name);
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener("message", (event) => {
  if (event.data === "activate") void worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== worker.location.origin) return;
  const isPage = event.request.mode === "navigate" && url.pathname === "/";
  if (isPage || files.includes(url.pathname)) event.respondWith(fromCache(isPage ? "/" : url.pathname, event.request));
});

async function fromCache(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(version);
  return (await cache.match(path)) ?? fetch(request);
}

worker.addEventListener("push", (event) => {
  event.waitUntil(
    (async () => {
      const windows = await worker.clients.matchAll({ type: "window" });
      if (windows.some((window) => window.visibilityState === "visible" && window.focused)) return;
      await worker.registration.showNotification(PUSH_TITLE, { body: PUSH_BODY, icon: "/icon-192.png", tag: "wake-up" });
    })(),
  );
});

/** The browser has replaced the subscription. An open page tells the server, because it has the session; without an open page, the next one does. */
worker.addEventListener("pushsubscriptionchange", (event) => {
  const { oldSubscription, newSubscription } = event;
  event.waitUntil(
    (async () => {
      try {
        if (!newSubscription && oldSubscription) await worker.registration.pushManager.subscribe(oldSubscription.options);
      } catch (error) {
        console.warn("This browser is not woken until the app is opened again:", error);
      }
      for (const window of await worker.clients.matchAll({ type: "window", includeUncontrolled: true })) window.postMessage("pushsubscriptionchange");
    })(),
  );
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    (async () => {
      const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
      if (windows[0]) await windows[0].focus();
      else await worker.clients.openWindow("/");
    })(),
  );
});
