// The hits of a question for clips: a grid of those that fit, a line, and a grid of those that are weak.

import { el } from "../common/dom.js";
import { t } from "../common/words.js";
import { clipCard, contextOf } from "./clip_card.js";
import { Grid } from "./grid.js";

// A clip may be part of several sequences.
const idOf = ({ clip_id: clip, moments }) => [clip, ...moments.slice(1).map((moment) => moment.clip_id)].join("-");

export class ClipList {
  // `reached()`: the end of the list has come into sight.
  constructor(reached) {
    this.idOf = idOf;
    this.node = el("div", { className: "clips" });
    this.strong = new Grid({ idOf, make: clipCard, label: t("results.fitting"), reached: () => this.ends(reached) });
    this.weak = new Grid({ idOf, make: clipCard, label: t("results.weak"), reached });
    this.line = el("h2", { className: "weak-line" });
    this.none = el("p", { className: "nothing-fits" });
    this.node.append(this.none, this.strong.node, this.line, this.weak.node);
  }

  close() {
    this.strong.close();
    this.weak.close();
  }

  ends(reached) {
    if (this.line.hidden) reached();
  }

  // `answer`: what the hits are from; `hits`: in the order to be shown.
  show(hits, answer, state) {
    const context = contextOf({ ...answer, hits }, state);
    const isWeak = ({ likelihood }) => answer.fit !== null && likelihood !== null && likelihood < answer.fit.weak;
    // In another order than by score nothing stands below anything.
    const weak = state.sort === null ? hits.filter(isWeak) : [];
    const strong = weak.length ? hits.filter((hit) => !isWeak(hit)) : hits;
    const nothing = weak.length > 0 && strong.length === 0;
    this.none.hidden = !nothing;
    this.none.textContent = nothing ? t("results.nothingFits") : "";
    this.line.hidden = weak.length === 0;
    this.line.textContent = weak.length ? t(nothing ? "results.closest" : "results.weakBelow") : "";
    this.strong.node.hidden = strong.length === 0;
    this.weak.node.hidden = weak.length === 0;
    this.strong.show(strong, context);
    this.weak.show(weak, context);
  }

  redraw() {
    this.strong.draw();
    this.weak.draw();
  }

  focus(place) {
    const shift = place - this.strong.hits.length;
    if (shift < 0) this.strong.focus(place);
    else this.weak.focus(shift);
  }

  // What the viewer steps through, in the order of the page.
  steps() {
    return stepsOf([...this.strong.hits, ...this.weak.hits]);
  }
}

// Each moment of a hit of several is a step of its own, once.
export function stepsOf(hits) {
  const steps = new Map();
  for (const hit of hits) {
    const own = hit.moments.length > 1 ? hit.moments.map((moment) => ({ ...hit, ...moment, line: null })) : [hit];
    for (const one of own) if (!steps.has(one.clip_id)) steps.set(one.clip_id, { clipId: one.clip_id, hit: one });
  }
  return [...steps.values()];
}
