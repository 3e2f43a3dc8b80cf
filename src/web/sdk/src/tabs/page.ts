/** What a coordinator follows of its page, also from a worker. @internal */
export interface PageListener {
  /** Whether the page is hidden. A hidden page without calls does not need to watch the leader. */
  setHidden(hidden: boolean): void;
  /** The page is frozen or put into the back/forward cache: another tab shall lead. */
  leave(): void;
}

/** Reports the state of this page until the signal is aborted. Without a document, as in a worker, there is nothing to report. @internal */
export function followPage(listener: PageListener, signal: AbortSignal): void {
  if (typeof document === "undefined") return;
  const look = () => listener.setHidden(document.visibilityState === "hidden");
  const leave = () => listener.leave();
  document.addEventListener("visibilitychange", look, { signal });
  document.addEventListener("freeze", leave, { signal });
  addEventListener("pagehide", leave, { signal });
  look();
}
