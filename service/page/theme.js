// Light or dark: as the system says, or as the reader has chosen. Runs before anything is drawn, so nothing flashes.
try {
  const chosen = JSON.parse(localStorage.getItem("quartet.theme"));
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage can be forbidden.
}
