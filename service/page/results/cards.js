// Hits: a grid of clips or a list of captions. Cards of hits that stay are kept, so that a new order moves them
// instead of drawing all again.

import { href } from "../common/address.js";
import { clock, el, icon, still } from "../common/dom.js";
import { longestBar, makeBars, words } from "../common/levels.js";
import { preview } from "../common/preview.js";
import { quotation } from "./line.js";

const SCORE = "Score: the sum of the bars";

// `kind`: "grid" or "sentences"; `idOf(hit)`; `make(hit)` gives {node, update(hit, longest, context, rank)}.
class Cards {
  constructor(kind, idOf, make) {
    this.node = el("ol", { className: kind });
    this.idOf = idOf;
    this.make = make;
    this.known = new Map();
  }

  show(hits, context) {
    const longest = longestBar(hits);
    const before = this.places();
    const cards = hits.map((hit, i) => {
      const id = this.idOf(hit);
      if (!this.known.has(id)) this.known.set(id, this.make(hit));
      const card = this.known.get(id);
      card.update(hit, longest, context, i + 1);
      return card;
    });
    const wanted = new Set(cards.map((card) => card.node));
    for (const [id, { node }] of this.known) {
      if (wanted.has(node)) continue;
      node.remove();
      this.known.delete(id);
    }
    const places = this.node.children;
    cards.forEach(({ node }, i) => places[i] !== node && this.node.insertBefore(node, places[i] ?? null));
    if (before.size && !still.matches) this.glide(before);
  }

  places() {
    return new Map([...this.node.children].map((node) => [node, node.getBoundingClientRect()]));
  }

  // Every place is read before anything is set in motion: else the browser would lay out the page for each card again.
  glide(before) {
    for (const [node, is] of this.places()) {
      const was = before.get(node);
      if (!was || !(inSight(was) || inSight(is))) continue;
      const [x, y] = [was.left - is.left, was.top - is.top];
      if (x || y) node.animate([{ transform: `translate(${x}px, ${y}px)` }, {}], { duration: 180, easing: "ease-out" });
    }
  }
}

const inSight = ({ top, bottom }) => bottom > 0 && top < innerHeight;

export const clipCards = () => new Cards("grid", (hit) => hit.clip_id, clipCard);

export const captionCards = () => new Cards("sentences", (hit) => hit.caption_id, captionCard);

// `context.state`: what was asked for; `context.read`: what was read off it; `context.unknown`: what of that the model
// cannot judge.
function clipCard(hit) {
  const screen = preview(hit, "", `Open ${hit.title} at ${clock(hit.start)}`);
  const score = el("span", { className: "score", title: SCORE });
  const when = hit.start > 0 ? el("span", { className: "when" }, `${clock(hit.start)}–${clock(hit.end)}`) : null;
  const head = el("div", { className: "head" }, el("h2", {}, hit.title, when && " ", when), score);
  const bars = makeBars();
  const matched = el("div", {});
  const told = el("div", {});
  const about = el("div", { className: "about" }, head, told, bars.node, matched, actions(hit));
  const node = el("li", { className: "card", data: { id: hit.clip_id } }, screen, about);
  const update = (now, longest, { state, read, unknown }) => {
    screen.href = href({ ...state, show: hit.clip_id });
    score.textContent = now.score.toFixed(3);
    bars.update(now.levels, longest);
    told.replaceChildren(...[quotation(now)].filter(Boolean));
    tell(matched, now.matched, read, unknown);
  };
  return { node, update };
}

// The words of a hit, which no slider changes.
function tell(place, matched, asked, unknown = null) {
  const says = JSON.stringify([matched, asked, unknown]);
  if (place.dataset.says !== says) place.replaceChildren(...[words(matched, asked, unknown)].filter(Boolean));
  place.dataset.says = says;
}

function actions({ clip_id: clip, title }) {
  return el(
    "div",
    { className: "actions" },
    action("like", "More like this", `More like ${title}`, { like: clip }),
    action("text", "Captions", `Captions for ${title}`, { tab: "captions", clip }),
  );
}

export function action(symbol, text, label, state) {
  return el("a", { className: "action", href: href(state), ariaLabel: label }, icon(symbol), text);
}

function captionCard(hit) {
  const score = el("span", { className: "score", title: SCORE });
  const bars = makeBars();
  const matched = el("div", {});
  // Not a counter of CSS: one would begin anew in each card that may go undrawn (results.css).
  const place = el("span", { className: "rank", ariaHidden: "true" });
  const head = el("div", { className: "head" }, place, el("p", {}, hit.text), score);
  const find = action("search", "Find clips", `Find clips for: ${hit.text}`, { q: hit.text });
  const about = el("div", { className: "about" }, head, bars.node, el("div", { className: "foot" }, matched, find));
  const node = el("li", { className: "card" }, about);
  const update = (now, longest, context, rank) => {
    place.textContent = rank;
    score.textContent = now.score.toFixed(3);
    bars.update(now.levels, longest);
    tell(matched, now.matched);
  };
  return { node, update };
}
