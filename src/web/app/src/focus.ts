import { useEffect, useRef, useState, type RefObject } from "react";

/*
 * Where the keyboard is. What opens takes the focus, what closes gives it back. When the element that had it is gone, the composer gets it, or else the heading of the screen,
 * so that the next key is not lost.
 */

/** Whether what had the focus is gone or hidden. */
export const isLost = (): boolean => document.activeElement === null || document.activeElement === document.body || !document.activeElement.checkVisibility();

/** Focuses an element that had the focus before, or what takes its place. */
export function giveBack(before: Element | null): void {
  if (before instanceof HTMLElement && before !== document.body && before.isConnected && before.checkVisibility()) {
    before.focus({ preventScroll: true });
    if (document.activeElement === before)
      return;
  }
  const places = [...document.querySelectorAll<HTMLElement>("[data-place]")].filter((place) => place.checkVisibility());
  (places.find((place) => place.dataset.place === "writing" && hasKeyboard()) ?? places.findLast((place) => place.dataset.place === "heading"))?.focus({ preventScroll: true });
}

/** On a phone the focus in a field opens a keyboard, which covers what there is to read. */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover)").matches;

/** Spread over the heading of a screen: the screen takes the focus when it opens without a field that does, and gives it back when it closes. */
export function useArrival(): { ref: RefObject<HTMLHeadingElement | null>; tabIndex: -1; "data-place": "heading" } {
  const ref = useRef<HTMLHeadingElement>(null);
  // Before a field of the screen takes it.
  const [before] = useState(() => document.activeElement);
  useEffect(() => {
    const heading = ref.current!;
    if (!heading.closest("section, nav, aside")?.contains(document.activeElement))
      heading.focus({ preventScroll: true });
    return () => {
      if (isLost())
        giveBack(before);
    };
  }, [before]);
  return { ref, tabIndex: -1, "data-place": "heading" };
}
