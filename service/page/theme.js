// Light or dark: as the system says, until the button is pressed. Runs before anything is drawn, so nothing flashes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // Storage can be forbidden; the choice then lasts as long as the page.
  const stored = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null;
    }
  };
  const chosen = stored((storage) => storage.getItem("theme"));
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      stored((storage) => storage.setItem("theme", root.dataset.theme));
    });
  });
})();
