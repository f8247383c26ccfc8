// Keys beyond those that browsers give: "/" goes to the search box, arrows go from clip to clip.

import { byId } from "./dom.js";

export function listen() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      if (byId("ask-clips").hidden) document.querySelector('.tabs [data-tab="clips"]').click();
      byId("query").focus();
      byId("query").select();
    }
    if (event.key === "ArrowDown" && event.target === byId("query")) {
      const first = document.querySelector(".grid .screen[href]");
      if (first) event.preventDefault();
      first?.focus();
    }
    const screen = event.target.closest?.(".grid .screen[href]");
    if (screen) move(event, screen);
  });
}

function move(event, screen) {
  const grid = screen.closest(".grid");
  const columns = Number(grid.dataset.columns);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  // The grid draws only what is in sight: it is asked for the card.
  const place = Number(screen.closest(".card").ariaPosInSet) - 1 + step;
  grid.dispatchEvent(new CustomEvent("reach", { detail: place }));
}
