import { createContext, useContext, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { giveBack, isLost } from "../browser/focus.js";
import { IconButton } from "./Button.js";
import { Icon, type IconName } from "./Icon.js";

/** Where a menu opens: at an element or at a point. */
export type Anchor = HTMLElement | { x: number; y: number };

const margin = 8;
const typingMs = 600;
const Close = createContext<() => void>(() => undefined);
const itemsOf = (menu: HTMLElement): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>("[role^=menuitem]")];

/**
 * A menu with the keys of the WAI-ARIA pattern: arrows, Home, End and first letters move the focus; Esc, Tab and a click elsewhere close it. It takes the focus
 * when it opens and returns it when it closes.
 */
export function Menu({
  label,
  anchor,
  start = "first",
  onClose,
  children,
}: {
  label: string;
  anchor: Anchor;
  start?: "first" | "last";
  onClose: () => void;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  const typed = useRef({ text: "", at: 0 });

  // Placement comes first: a hidden element cannot take the focus.
  useLayoutEffect(() => {
    const menu = ref.current!;
    const before = document.activeElement;
    place(menu, anchor);
    itemsOf(menu)
      .at(start === "first" ? 0 : -1)
      ?.focus({ preventScroll: true });
    return () => {
      // The chosen item may have moved the focus.
      if (isLost() || menu.contains(document.activeElement)) giveBack(before);
    };
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the menu is placed only when it opens
  }, []);

  useEffect(() => {
    const outside = (event: PointerEvent): void => {
      if (
        event.target instanceof Node &&
        !ref.current?.contains(event.target) &&
        !(anchor instanceof HTMLElement && anchor.hasAttribute("aria-expanded") && anchor.contains(event.target))
      )
        close.current();
    };
    const away = (): void => close.current();
    document.addEventListener("pointerdown", outside, true);
    window.addEventListener("resize", away);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("resize", away);
    };
  }, [anchor]);

  const onKeyDown = (event: KeyboardEvent): void => {
    event.stopPropagation();
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose();
      return;
    }
    const next = event.ctrlKey || event.altKey || event.metaKey ? undefined : nextItem(itemsOf(ref.current!), event.key, typed.current);
    if (next) {
      event.preventDefault();
      next.focus();
    }
  };

  return createPortal(
    <div ref={ref} className="menu" role="menu" aria-label={label} onKeyDown={onKeyDown}>
      <Close.Provider value={onClose}>{children}</Close.Provider>
    </div>,
    landmarkOf(anchor),
  );
}

function place(menu: HTMLElement, anchor: Anchor): void {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const box = anchor instanceof HTMLElement ? anchor.getBoundingClientRect() : new DOMRect(anchor.x, anchor.y, 0, 0);
  const wanted = box.width === 0 || getComputedStyle(menu).direction === "rtl" ? box.left : box.right - width;
  const below = box.bottom + 4;
  menu.style.left = `${Math.max(margin, Math.min(wanted, innerWidth - width - margin))}px`;
  menu.style.top = `${below + height + margin <= innerHeight ? below : Math.max(margin, box.top - height - 4)}px`;
}

/** The item that a key moves to. Reactions are in rows, so up and down use the positions on the screen. */
function nextItem(items: HTMLElement[], key: string, typed: { text: string; at: number }): HTMLElement | undefined {
  const at = items.indexOf(document.activeElement as HTMLElement);
  const { bottom, top, left } = (items[at] ?? items[0]!).getBoundingClientRect();
  const nearest = (rows: HTMLElement[], edge: (box: DOMRect) => number): HTMLElement | undefined => {
    const row = rows.filter((item) => edge(item.getBoundingClientRect()) === edge(rows[0]!.getBoundingClientRect()));
    const away = (item: HTMLElement): number => Math.abs(item.getBoundingClientRect().left - left);
    return row.toSorted((a, b) => away(a) - away(b))[0];
  };
  switch (key) {
    case "ArrowRight":
      return items[(at + 1) % items.length];
    case "ArrowLeft":
      return items.at(at - 1);
    case "ArrowDown":
      return (
        nearest(
          items.filter((item) => item.getBoundingClientRect().top >= bottom - 1),
          (box) => box.top,
        ) ?? items[0]
      );
    case "ArrowUp":
      return nearest(items.filter((item) => item.getBoundingClientRect().bottom <= top + 1).toReversed(), (box) => box.bottom) ?? items.at(-1);
    case "Home":
      return items[0];
    case "End":
      return items.at(-1);
  }
  if ([...key].length !== 1 || key === " ") return undefined;
  const now = performance.now();
  typed.text = (now - typed.at < typingMs ? typed.text : "") + key.toLowerCase();
  typed.at = now;
  // One letter moves to the next item with it. More letters stay on an item that matches.
  const from = typed.text.length === 1 ? at + 1 : Math.max(0, at);
  return [...items.slice(from), ...items.slice(0, from)].find((item) => item.textContent?.trim().toLowerCase().startsWith(typed.text));
}

/** The landmark or dialog around the anchor: screen readers read the menu there, and outside a modal dialog it could not be reached. */
const landmarkOf = (anchor: Anchor): Element =>
  (anchor instanceof HTMLElement ? anchor.closest("dialog, aside, nav, main") : document.querySelector("main")) ?? document.body;

/** Closes the surrounding menu. */
export const useMenuClose = (): (() => void) => useContext(Close);

export function MenuItem({ icon, bad, onSelect, children }: { icon: IconName; bad?: boolean; onSelect: () => void; children: ReactNode }) {
  const close = useMenuClose();
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      className={`item ${bad ? "bad" : ""}`}
      onClick={() => {
        close();
        onSelect();
      }}
    >
      <Icon name={icon} />
      <span>{children}</span>
    </button>
  );
}

/** A button that opens a menu: a click, Enter and Space open it at the first item, the arrow keys at the first or last one. */
export function MenuButton({ label, children }: { label: string; children: ReactNode }) {
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState<"first" | "last">();
  return (
    <>
      <IconButton
        ref={button}
        icon="more"
        label={label}
        aria-haspopup="menu"
        aria-expanded={open !== undefined}
        onClick={() => setOpen(open ? undefined : "first")}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            setOpen(event.key === "ArrowDown" ? "first" : "last");
          }
        }}
      />
      {open && (
        <Menu label={label} anchor={button.current!} start={open} onClose={() => setOpen(undefined)}>
          {children}
        </Menu>
      )}
    </>
  );
}
