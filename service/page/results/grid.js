// A grid of cards that draws only what is in sight, so that a thousand hits scroll as smoothly as twenty. Every card has
// its place by a transform: those that stay glide to where another order puts them.

import { el, still } from "../common/dom.js";
import { setting } from "../common/settings.js";

// Pixels: the least width of a card, and the columns of a phone.
const DENSITIES = { compact: [168, 2], cosy: [210, 2], large: [300, 1] };
const PHONE = 520;
const GAP = 10;
// Height of a picture in widths.
const SHAPE = 3 / 4;
const PHONE_SHAPE = 2 / 3;
// Screens above and below that are drawn as well, and how near its end is when there should be more of a list.
const BEYOND = 1;
const NEAR = 0.25;

export const densities = Object.keys(DENSITIES);

export const density = () => (densities.includes(setting("density")) ? setting("density") : "compact");

export class Grid {
  // `idOf(hit)`; `make(hit)` gives {node, update(hit, context, place)}; `reached()`: its end has come into sight.
  constructor({ idOf, make, reached = () => {}, label }) {
    Object.assign(this, { idOf, make, reached });
    this.node = el("ol", { className: "grid", ariaLabel: label });
    this.cards = new Map();
    this.hits = [];
    this.node.addEventListener("reach", ({ detail }) => this.focus(detail));
    this.redraw = () => {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.draw();
      });
    };
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.node);
    addEventListener("scroll", this.redraw, { passive: true });
    addEventListener("resize", this.redraw);
  }

  close() {
    this.size.disconnect();
    removeEventListener("scroll", this.redraw);
    removeEventListener("resize", this.redraw);
  }

  show(hits, context) {
    const moves = this.hits.length > 0 && !still.matches;
    Object.assign(this, { hits, context });
    this.node.classList.toggle("gliding", moves);
    this.fresh = true;
    // A grid that is hidden has no width to be drawn by.
    if (hits.length) this.draw();
    else this.place(0, 0);
  }

  // How many columns there are, and how large a card is.
  measure() {
    const width = this.node.clientWidth;
    const [least, onPhone] = DENSITIES[density()];
    const phone = width < PHONE;
    const columns = phone ? (width < 230 ? 1 : onPhone) : Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    const card = (width - GAP * (columns - 1)) / columns;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    // Under the picture: a line of text, the bar, and the text at its time where a hit has one.
    const lines = this.hits.some((hit) => hit.line) ? 3.9 : 2.7;
    return { columns, card, row: card * (phone ? PHONE_SHAPE : SHAPE) + lines * rem };
  }

  draw() {
    if (!this.node.isConnected || !this.node.clientWidth) return;
    const { columns, card, row } = this.measure();
    const rows = Math.ceil(this.hits.length / columns);
    const step = row + GAP;
    this.node.dataset.columns = columns;
    this.node.style.height = `${Math.max(0, rows * step - GAP)}px`;
    const top = this.node.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((-top - BEYOND * innerHeight) / step)) * columns;
    const last = Math.min(this.hits.length, Math.ceil((innerHeight * (1 + BEYOND) - top) / step) * columns);
    this.place(first, last, (i) => [(i % columns) * (card + GAP), Math.floor(i / columns) * step, card, row]);
    this.fresh = false;
    if (this.hits.length && top + rows * step < innerHeight * (1 + NEAR)) this.reached();
  }

  // Cards from `first` to `last`, and the one that has the focus.
  place(first, last, boxOf) {
    const held = document.activeElement?.closest?.(".card");
    const wanted = new Map();
    this.hits.forEach((hit, i) => {
      const card = this.cards.get(this.idOf(hit));
      const keeps = card && card.node === held;
      if ((i >= first && i < last) || keeps) wanted.set(this.idOf(hit), i);
    });
    for (const [id, { node }] of this.cards) {
      if (wanted.has(id)) continue;
      node.remove();
      this.cards.delete(id);
    }
    let before = null;
    for (const [id, i] of wanted) {
      let card = this.cards.get(id);
      const isNew = !card;
      if (isNew) this.cards.set(id, (card = this.make(this.hits[i])));
      if (isNew || this.fresh) card.update(this.hits[i], this.context, i);
      const [x, y, width, height] = boxOf(i);
      card.node.style.transform = `translate(${x}px, ${y}px)`;
      card.node.style.width = `${width}px`;
      card.node.style.height = `${height}px`;
      card.node.ariaPosInSet = i + 1;
      card.node.ariaSetSize = this.hits.length;
      // In the order in which they are read.
      const next = before ? before.nextSibling : this.node.firstChild;
      if (next !== card.node) this.node.insertBefore(card.node, next);
      before = card.node;
    }
  }

  // Gives the focus to the card at a place, which may have to be drawn first.
  focus(place) {
    if (place < 0 || place >= this.hits.length) return;
    const id = this.idOf(this.hits[place]);
    if (!this.cards.has(id)) {
      const { columns, row } = this.measure();
      const y = this.node.getBoundingClientRect().top + Math.floor(place / columns) * (row + GAP);
      scrollBy(0, y - innerHeight / 2);
      this.draw();
    }
    this.cards.get(id)?.node.querySelector("a")?.focus();
  }
}
