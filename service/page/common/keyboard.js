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
  const screens = [...screen.closest(".grid").querySelectorAll(".screen[href]")];
  const at = screens.indexOf(screen);
  // As many as stand in the first row.
  const top = screens[0].getBoundingClientRect().top;
  const columns = Math.max(1, screens.filter((one) => Math.abs(one.getBoundingClientRect().top - top) < 2).length);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  screens[at + step]?.focus();
}
