// The page stays empty when the app's own script does not come or fails at once, as after an update of the server: then it says so. The words are in index.html; once the app is shown,
// its style hides them.
addEventListener("error", () => {
  const missing = document.getElementById("missing");
  if (!missing?.hidden)
    return;
  missing.hidden = false;
  missing.querySelector("button").addEventListener("click", () => location.reload());
}, true);
