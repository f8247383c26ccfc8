// Which clips may be hits: of some videos, of a stretch of time, from a score on. `changed(patch)` is called with the
// part of the state that was changed.

import * as api from "./api.js";
import { byId, el, icon } from "./dom.js";

const OFFERED = 1000;

export const NONE = { videos: [], from: null, to: null, min: null };

// What a search is to send for a state.
export function toRequest({ videos, from, to, min }) {
  const filter = {
    ...(videos.length && { video_ids: videos }),
    ...(from !== null && { start: from }),
    ...(to !== null && { end: to }),
  };
  return { ...(Object.keys(filter).length && { filter }), ...(min !== null && { min_score: min }) };
}

export const filtersIn = ({ videos, from, to, min }) =>
  [videos.length > 0, from !== null, to !== null, min !== null].filter(Boolean).length;

export class Filters {
  constructor(changed) {
    this.changed = changed;
    this.titles = new Map();
    this.chosen = el("ul", { className: "chosen", ariaLabel: "Chosen videos" });
    this.options = el("datalist", { id: "videos" });
    this.video = el("input", { type: "text", placeholder: "Any", ariaLabel: "Only in this video" });
    this.video.autocomplete = "off";
    this.video.setAttribute("list", "videos");
    this.video.addEventListener("focus", () => this.offer(), { once: true });
    this.video.addEventListener("input", () => this.choose());
    this.from = this.numeric("Only from this second on", "from", { min: 0 });
    this.to = this.numeric("Only before this second", "to", { min: 0 });
    this.min = this.numeric("Least score", "min", { min: -1, max: 1, step: 0.05 });
    this.clear = el("button", { type: "button", className: "plain" }, "Clear filters");
    this.clear.addEventListener("click", () => changed(NONE));
    const second = (input, text) => el("label", {}, el("span", {}, text), input);
    this.places = el(
      "div",
      { className: "places" },
      el("label", {}, el("span", {}, "Video"), this.video),
      this.options,
      this.chosen,
      el("div", { className: "pair" }, second(this.from, "From second"), second(this.to, "To second")),
    );
    byId("filters").append(this.places, el("label", {}, el("span", {}, "Least score"), this.min), this.clear);
  }

  numeric(label, field, limits) {
    const input = el("input", { type: "number", placeholder: "Any", ariaLabel: label, step: "any", ...limits });
    input.inputMode = "decimal";
    input.addEventListener("input", () => {
      // Any number will do, not only those that the arrow keys step to.
      const { badInput, rangeUnderflow, rangeOverflow } = input.validity;
      const wrong = badInput || rangeUnderflow || rangeOverflow;
      input.ariaInvalid = wrong ? "true" : null;
      if (wrong) return;
      this.changed({ [field]: input.value === "" ? null : input.valueAsNumber });
    });
    return input;
  }

  // Show what a state says. `places`: whether video and time can be chosen at all (captions have neither).
  async set(state, { places }) {
    this.places.hidden = !places;
    this.clear.hidden = filtersIn(state) === 0;
    this.state = state;
    for (const field of ["from", "to", "min"]) {
      // What is being typed is left alone: "0." is a number on its way.
      if (document.activeElement !== this[field]) this[field].value = state[field] ?? "";
    }
    await Promise.all(state.videos.map((id) => this.learn(id)));
    if (this.state !== state) return;
    this.chosen.replaceChildren(...state.videos.map((id) => this.tag(id)));
    this.tellWithin(state);
  }

  // On the start page, where the filters are not shown, an address may bring some.
  tellWithin(state) {
    const titles = state.videos.map((id) => this.titles.get(id));
    const clear = el("button", { type: "button", className: "plain" }, "Search everywhere");
    clear.addEventListener("click", () => this.changed(NONE));
    const what = titles.length ? `Searches only in ${titles.join(", ")}.` : "Filters are on.";
    byId("within").replaceChildren(el("span", {}, what), clear);
    byId("within").hidden = filtersIn(state) === 0;
  }

  async learn(id) {
    if (this.titles.has(id)) return;
    const title = await api.video(id).then(
      (video) => video.title,
      () => `Video ${id}`,
    );
    this.titles.set(id, title);
  }

  tag(id) {
    const title = this.titles.get(id);
    const remove = el("button", { type: "button" }, icon("close"));
    remove.ariaLabel = `Search in other videos than ${title} too`;
    remove.addEventListener("click", () => {
      this.changed({ videos: this.state.videos.filter((other) => other !== id) });
    });
    return el("li", {}, el("span", {}, title), remove);
  }

  // The titles to choose from, fetched when they are first needed.
  async offer() {
    const found = await api.videos(0, OFFERED).catch(() => ({ items: [] }));
    this.offered = new Map(found.items.map((video) => [video.title, video.video_id]));
    for (const video of found.items) this.titles.set(video.video_id, video.title);
    this.options.replaceChildren(...found.items.map((video) => el("option", { value: video.title })));
    this.choose();
  }

  choose() {
    const id = this.offered?.get(this.video.value);
    if (id === undefined || document.activeElement !== this.video) return;
    this.video.value = "";
    this.changed({ videos: [...new Set([...this.state.videos, id])] });
  }
}
