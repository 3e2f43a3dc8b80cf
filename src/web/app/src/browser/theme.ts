import { Cell } from "../base/cell.js";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const stored = (): Theme => {
  try {
    const value = localStorage.getItem("theme");
    return value === "light" || value === "dark" ? value : "system";
  } catch (error) {
    console.warn("The chosen theme cannot be read. The system's theme is used:", error);
    return "system";
  }
};

/** The chosen theme. `theme.js` applies it before the first paint. */
export const theme = new Cell<Theme>(stored());

export function setTheme(value: Theme): void {
  theme.set(value);
  apply(value);
  try {
    if (value === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", value);
  } catch (error) {
    console.warn("The chosen theme cannot be stored. It lasts until the page is closed:", error);
  }
}

function apply(value: Theme): void {
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

// Another tab has changed the theme.
window.addEventListener("storage", (event) => {
  if (event.key === "theme") {
    theme.set(stored());
    apply(theme.get());
  }
});
