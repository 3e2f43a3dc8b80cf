// If the app's script is missing or fails at once, for example after an update of the server, this shows the notice in index.html. The app's style hides it.
addEventListener(
  "error",
  () => {
    const missing = document.getElementById("missing");
    if (!missing?.hidden) return;
    missing.hidden = false;
    missing.querySelector("button").addEventListener("click", () => location.reload());
  },
  true,
);
