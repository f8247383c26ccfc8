// Why a hit was found, beside its card while it is pointed at or has the focus: numbers, words, likelihood.

import { clock, el, seconds } from "../common/dom.js";
import { longestBar, makeBars, words } from "../common/levels.js";
import { t } from "../common/words.js";
import { quotation } from "./line.js";

// Milliseconds of resting on a card that show that one wants to know more.
const DWELL = 350;
const GAP = 8;

const panel = el("div", { id: "details", role: "tooltip", popover: "manual" });
document.body.append(panel);
let timer = 0;

// `tell()` gives {hit, answer, state} of the card `node`, whose link is `screen`.
export function describes(node, screen, tell) {
  screen.setAttribute("aria-describedby", "details");
  const soon = (delay) => {
    clearTimeout(timer);
    timer = setTimeout(() => node.isConnected && open(node, tell()), delay);
  };
  node.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && soon(DWELL));
  node.addEventListener("pointerleave", close);
  screen.addEventListener("focus", () => screen.matches(":focus-visible") && soon(0));
  screen.addEventListener("blur", close);
}

export function close() {
  clearTimeout(timer);
  if (panel.matches(":popover-open")) panel.hidePopover();
}

addEventListener("scroll", close, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && close());

function open(node, { hit, answer }) {
  const bars = makeBars();
  bars.update(hit.levels, longestBar(answer.hits));
  const when = `${clock(hit.start)}–${clock(hit.end)}, ${seconds(hit.end - hit.start)}`;
  const head = el("p", { className: "head" }, el("b", {}, hit.title), el("span", { className: "score" }, hit.score.toFixed(3)));
  const likely = hit.likelihood === null ? null : el("p", { className: "when" }, likelihood(hit.likelihood));
  const matched = words(hit.matched, answer.query_attributes, answer.unknown);
  panel.replaceChildren(
    ...[head, el("p", { className: "when" }, when), likely, quotation(hit), bars.node, matched].filter(Boolean),
  );
  if (!panel.matches(":popover-open")) panel.showPopover();
  beside(node.getBoundingClientRect());
}

export const likelihood = (value) => t("hit.likelihood", { percent: `${Math.round(100 * value)}%` });

// At the right of the card, else at its left, else under it; never over what is pointed at.
function beside(card) {
  const { width, height } = panel.getBoundingClientRect();
  const right = card.right + GAP;
  const left = card.left - GAP - width;
  const [x, y] =
    right + width <= innerWidth
      ? [right, card.top]
      : left >= 0
        ? [left, card.top]
        : [Math.max(GAP, Math.min(card.left, innerWidth - width - GAP)), card.bottom + GAP];
  panel.style.left = `${x}px`;
  panel.style.top = `${Math.max(GAP, Math.min(y, innerHeight - height - GAP))}px`;
}
