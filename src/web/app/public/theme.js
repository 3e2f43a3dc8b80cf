// Before the first paint, so that nobody who has chosen a theme sees the other one flash.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark")
    document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme it is.
}
