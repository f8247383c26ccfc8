// The length of a video as a line, with the moments that were found on it.

import { clock, el } from "../common/dom.js";
import { t } from "../common/words.js";

// `moments`: {clip_id, start, end, score}; `address(moment)`: where it leads; `now`: the clip that is shown.
// Gives {node, at(second)}, which shows where the player is.
export function timeline({ duration, moments, address, now = null }) {
  const share = (second) => `${Math.min(100, (100 * second) / duration)}%`;
  const best = Math.max(...moments.map(({ score }) => score ?? 0), 1e-6);
  const marks = moments.map((moment) => {
    const label = t("film.momentAt", { time: clock(moment.start) });
    const mark = el("a", { className: "mark", href: address(moment), ariaLabel: label, title: label });
    mark.style.left = share(moment.start);
    mark.style.width = share(moment.end - moment.start);
    mark.style.setProperty("--strength", Math.max(0.35, (moment.score ?? best) / best));
    if (moment.clip_id === now) mark.ariaCurrent = "true";
    return el("li", {}, mark);
  });
  const head = el("span", { className: "head-of-player", hidden: true });
  const line = el("ol", { className: "marks", ariaLabel: t("film.timeline") }, ...marks);
  const ends = el("div", { className: "ends", ariaHidden: "true" }, el("span", {}, "0:00"), el("span", {}, clock(duration)));
  const node = el("div", { className: "timeline" }, el("div", { className: "track" }, line, head), ends);
  const at = (second) => {
    head.hidden = false;
    head.style.left = share(second);
  };
  return { node, at };
}
