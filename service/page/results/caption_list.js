// Captions of a clip, as a list with all of their bars.

import { el } from "../common/dom.js";
import { longestBar, makeBars, words } from "../common/levels.js";
import { t } from "../common/words.js";
import { action } from "./clip_card.js";

export class CaptionList {
  constructor() {
    this.node = el("ol", { className: "sentences" });
    this.known = new Map();
  }

  idOf = (hit) => hit.caption_id;

  show(hits) {
    const longest = longestBar(hits);
    const cards = hits.map((hit, i) => {
      if (!this.known.has(hit.caption_id)) this.known.set(hit.caption_id, captionCard(hit));
      const card = this.known.get(hit.caption_id);
      card.update(hit, longest, i + 1);
      return card.node;
    });
    // Cards that stay where they are keep the focus.
    cards.forEach((card, i) => this.node.children[i] !== card && this.node.insertBefore(card, this.node.children[i] ?? null));
    while (this.node.children.length > cards.length) this.node.lastChild.remove();
  }

  focus(place) {
    this.node.children[place]?.querySelector("a")?.focus({ preventScroll: true });
  }

  redraw() {}

  close() {}

  steps = () => [];
}

function captionCard(hit) {
  const score = el("span", { className: "score" });
  const bars = makeBars();
  const matched = el("div", {}, words(hit.matched));
  // Not a counter of CSS: one would begin anew in each card that may go undrawn (results.css).
  const place = el("span", { className: "rank", ariaHidden: "true" });
  const head = el("div", { className: "head" }, place, el("p", {}, hit.text), score);
  const find = action("search", t("caption.find"), t("caption.findFor", { text: hit.text }), { q: hit.text });
  const about = el("div", { className: "about" }, head, bars.node, el("div", { className: "foot" }, matched, find));
  const node = el("li", { className: "card" }, about);
  const update = (now, longest, rank) => {
    place.textContent = rank;
    score.textContent = now.score.toFixed(3);
    bars.update(now.levels, longest);
  };
  return { node, update };
}
