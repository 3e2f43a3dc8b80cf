import { useEffect, useRef, useState, type RefObject } from "react";

/*
 * The keyboard focus. A dialog, menu or screen takes the focus when it opens and returns it when it closes. If the former element is gone, the composer gets
 * the focus, or else the heading of the screen, so that the next key is not lost.
 */

/** Whether the focused element is gone or hidden. */
export const isLost = (): boolean => document.activeElement === null || document.activeElement === document.body || !document.activeElement.checkVisibility();

/** Returns the focus to an element, or to its replacement. */
export function giveBack(before: Element | null): void {
  if (before instanceof HTMLElement && before !== document.body && before.isConnected && before.checkVisibility()) {
    before.focus({ preventScroll: true });
    if (document.activeElement === before) return;
  }
  const places = [...document.querySelectorAll<HTMLElement>("[data-place]")].filter((place) => place.checkVisibility());
  (places.find((place) => place.dataset.place === "writing" && hasKeyboard()) ?? places.findLast((place) => place.dataset.place === "heading"))?.focus({
    preventScroll: true,
  });
}

/** Whether the device has a hardware keyboard. On a phone, a focused field opens a keyboard that covers the screen. */
export const hasKeyboard = (): boolean => matchMedia("(hover: hover)").matches;

/** Props for the heading of a screen. The screen takes the focus when it opens without a focused field, and returns it when it closes. */
export function useArrival(): { ref: RefObject<HTMLHeadingElement | null>; tabIndex: -1; "data-place": "heading" } {
  const ref = useRef<HTMLHeadingElement>(null);
  // Read before a field of the screen takes the focus.
  const [before] = useState(() => document.activeElement);
  useEffect(() => {
    const heading = ref.current!;
    if (!heading.closest("section, nav, aside")?.contains(document.activeElement)) heading.focus({ preventScroll: true });
    return () => {
      if (isLost()) giveBack(before);
    };
  }, [before]);
  return { ref, tabIndex: -1, "data-place": "heading" };
}
