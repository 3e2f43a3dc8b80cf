import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { Icon, type IconName } from "./Icon.js";

/** Where a menu opens: at an element or at a point. */
export type Anchor = HTMLElement | { x: number; y: number };

const margin = 8;

/** A menu at an anchor: arrow keys move, Esc closes, a click elsewhere too. */
export function Menu({ label, anchor, onClose, children }: { label: string; anchor: Anchor; onClose(): void; children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number }>();
  const close = useRef(onClose);
  close.current = onClose;

  useLayoutEffect(() => {
    const menu = ref.current!;
    const { width, height } = menu.getBoundingClientRect();
    const box = anchor instanceof HTMLElement ? anchor.getBoundingClientRect() : new DOMRect(anchor.x, anchor.y, 0, 0);
    const rtl = getComputedStyle(menu).direction === "rtl";
    const wanted = rtl ? box.left : box.right - width;
    const left = Math.min(Math.max(margin, box.width === 0 ? box.left : wanted), innerWidth - width - margin);
    const below = box.bottom + 4;
    const top = below + height + margin <= innerHeight ? below : Math.max(margin, box.top - height - 4);
    setPlace({ left, top });
  }, [anchor]);

  useEffect(() => {
    const before = document.activeElement;
    ref.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus({ preventScroll: true });
    const outside = (event: PointerEvent): void => {
      if (event.target instanceof Node && !ref.current?.contains(event.target))
        close.current();
    };
    const away = (): void => close.current();
    document.addEventListener("pointerdown", outside, true);
    window.addEventListener("resize", away);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("resize", away);
      if (before instanceof HTMLElement && before.isConnected && (document.activeElement === document.body || ref.current === null || ref.current.contains(document.activeElement)))
        before.focus({ preventScroll: true });
    };
  }, []);

  return createPortal(
    <div ref={ref} className="menu" role="menu" aria-label={label} style={place ?? { visibility: "hidden" }} onKeyDown={(event) => {
      const items = [...ref.current!.querySelectorAll<HTMLElement>("[role^=menuitem]")];
      const at = items.indexOf(document.activeElement as HTMLElement);
      const step = event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : event.key === "ArrowUp" || event.key === "ArrowLeft" ? -1 : 0;
      event.stopPropagation();
      if (step !== 0) {
        event.preventDefault();
        items[(at + step + items.length) % items.length]?.focus();
      } else if (event.key === "Home" || event.key === "End") {
        event.preventDefault();
        items.at(event.key === "Home" ? 0 : -1)?.focus();
      } else if (event.key === "Escape" || event.key === "Tab") {
        event.preventDefault();
        onClose();
      }
    }}>
      {children}
    </div>, landmarkOf(anchor));
}

/** In the part of the page that it belongs to, so that it is read there; in a dialog nothing else could be reached. */
const landmarkOf = (anchor: Anchor): Element =>
  (anchor instanceof HTMLElement ? anchor.closest("dialog, aside, nav, main") : document.querySelector("main")) ?? document.body;

export function MenuItem({ icon, bad, onSelect, children }: { icon: IconName; bad?: boolean; onSelect(): void; children: ReactNode }) {
  return (
    <button type="button" role="menuitem" tabIndex={-1} className={`item ${bad ? "bad" : ""}`} onClick={onSelect}>
      <Icon name={icon} /><span>{children}</span>
    </button>
  );
}
