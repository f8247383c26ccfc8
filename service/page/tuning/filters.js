// Which clips may be hits: of some videos, of videos with some tags, of a stretch of time, from a score on.
// `changed(patch)` is called with the part of the state that was changed.

import * as api from "../common/api.js";
import { byId, el } from "../common/dom.js";
import { Chooser } from "./chooser.js";

const OFFERED = 1000;

export const NONE = { videos: [], tags: [], from: null, to: null, min: null };

// What a search is to send for a state.
export function toRequest({ videos, tags, from, to, min }) {
  const filter = {
    ...(videos.length && { video_ids: videos }),
    ...(tags.length && { tags }),
    ...(from !== null && { start: from }),
    ...(to !== null && { end: to }),
  };
  return { ...(Object.keys(filter).length && { filter }), ...(min !== null && { min_score: min }) };
}

export const filtersIn = ({ videos, tags, from, to, min }) =>
  [videos.length > 0, tags.length > 0, from !== null, to !== null, min !== null].filter(Boolean).length;

export class Filters {
  constructor(changed) {
    this.changed = changed;
    this.titles = new Map();
    // The tags there are, once they are asked for. Where there are none, there is nothing to choose.
    this.tagged = null;
    this.video = new Chooser({
      id: "videos",
      label: "Video",
      hint: "Only in this video",
      load: (text) => this.videosLike(text),
      changed: (videos) => changed({ videos }),
      nameOf: (id) => this.titles.get(id),
      without: (title) => `Search in other videos than ${title} too`,
    });
    this.tag = new Chooser({
      id: "tags",
      label: "Tag",
      hint: "Only in videos with this tag",
      load: () => this.allTags(),
      changed: (tags) => changed({ tags }),
      nameOf: (tag) => tag,
      without: (tag) => `Search in videos without the tag ${tag} too`,
    });
    this.tag.node.hidden = true;
    this.from = this.numeric("Only from this second on", "from", { min: 0 });
    this.to = this.numeric("Only before this second", "to", { min: 0 });
    this.min = this.numeric("Minimum score", "min", { min: -1, max: 1, step: 0.05 });
    this.clear = el("button", { type: "button", className: "plain", ariaLabel: "Clear filters" }, "Clear");
    this.clear.addEventListener("click", () => changed(NONE));
    const second = (input, text) => el("label", {}, el("span", {}, text), input);
    this.places = el(
      "div",
      { className: "places" },
      this.video.node,
      this.tag.node,
      el("div", { className: "pair" }, second(this.from, "From second"), second(this.to, "To second")),
    );
    byId("filters").append(this.places, el("label", {}, el("span", {}, "Minimum score"), this.min), this.clear);
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

  // Show what a state says. `places`: whether videos and times can be chosen at all (captions have neither).
  async set(state, { places }) {
    this.places.hidden = !places;
    this.clear.hidden = filtersIn(state) === 0;
    this.state = state;
    for (const field of ["from", "to", "min"]) {
      // What is being typed is left alone: "0." is a number on its way.
      if (document.activeElement !== this[field]) this[field].value = state[field] ?? "";
    }
    this.tag.show(state.tags);
    this.tagged ??= this.allTags().catch(() => ({ items: [] }));
    this.tagged.then(({ items }) => (this.tag.node.hidden = !items.length && !this.state.tags.length));
    await Promise.all(state.videos.map((id) => this.learn(id)));
    if (this.state !== state) return;
    this.video.show(state.videos);
    this.tellWithin(state);
  }

  // On the start page, where the filters are not shown, an address may bring some.
  tellWithin(state) {
    const places = state.videos.map((id) => this.titles.get(id)).join(", ");
    const tags = state.tags.join(" and ");
    const clear = el("button", { type: "button", className: "plain" }, "Search everywhere");
    clear.addEventListener("click", () => this.changed(NONE));
    const within = [places && `in ${places}`, tags && `in videos tagged ${tags}`].filter(Boolean).join(", ");
    byId("within").replaceChildren(el("span", {}, within ? `Searches only ${within}.` : "Filters are on."), clear);
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

  async videosLike(text) {
    const { total, items } = await api.videos({ title: text, limit: OFFERED });
    for (const video of items) this.titles.set(video.video_id, video.title);
    const complete = !text && total <= OFFERED;
    return { complete, items: items.map((video) => [video.title, video.video_id]) };
  }

  async allTags() {
    const { total, items } = await api.tags(OFFERED);
    return { complete: total <= OFFERED, items: items.map(({ tag }) => [tag, tag]) };
  }
}
