// What is said in a video, line by line. The line at the time of the player is marked and kept in sight.

import { clock, el, still } from "../common/dom.js";
import { t } from "../common/words.js";

// `texts`: {text, start, end, source, language}, in the order of time; `seek(second)`. Gives {node, at(second)}, or null
// where nothing is said.
export function transcript(texts, seek) {
  const timed = texts.filter(({ start }) => start !== null);
  if (!timed.length) return null;
  const rows = timed.map(({ text, start, end, source, language }) => {
    const line = el("button", { type: "button", title: language ? `${source} (${language})` : source });
    line.append(el("time", {}, clock(start)), " ", el("span", {}, text));
    line.addEventListener("click", () => seek(start));
    return { start, end, row: el("li", {}, line) };
  });
  const list = el("ol", { className: "transcript", ariaLabel: t("viewer.transcript"), tabIndex: 0 });
  list.append(...rows.map(({ row }) => row));
  let shown = null;
  const at = (second) => {
    const now = rows.findLast(({ start, end }) => second >= start - 0.01 && second < end) ?? null;
    if (now === shown) return;
    if (shown) shown.row.ariaCurrent = null;
    shown = now;
    if (!now) return;
    now.row.ariaCurrent = "true";
    // Not scrollIntoView: it would move the page behind as well.
    const top = now.row.offsetTop - list.offsetTop - list.clientHeight / 3;
    list.scrollTo({ top, behavior: still.matches ? "auto" : "smooth" });
  };
  return { node: el("section", {}, el("h3", {}, t("viewer.transcript")), list), at };
}
