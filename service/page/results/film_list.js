// Films, each with its best moments on a timeline and as pictures.

import * as api from "../common/api.js";
import { clock, el, seconds } from "../common/dom.js";
import { longestStack, makeStack } from "../common/levels.js";
import { preview } from "../common/preview.js";
import { href } from "../common/state.js";
import { t } from "../common/words.js";
import { timeline } from "../viewer/timeline.js";
import { stepsOf } from "./hit_list.js";
import { quotation } from "./line.js";

// Part of a film from which on a moment is all of it.
const WHOLE = 0.9;

export class FilmList {
  constructor() {
    this.node = el("ol", { className: "films", ariaLabel: t("results.films") });
    this.hits = [];
    this.lengths = new Map();
  }

  idOf = (hit) => hit.video_id;

  show(hits, answer, state) {
    this.hits = hits;
    const longest = longestStack(hits);
    this.node.replaceChildren(...hits.map((hit) => this.row(hit, state, longest)));
    this.measure(hits);
  }

  row(hit, state, longest) {
    const moments = hit.moments.length ? hit.moments : [hit];
    const stack = makeStack();
    stack.update(hit.levels, longest);
    const pictures = moments.map((moment) => {
      const clip = { ...hit, ...moment, strip_url: stripOf(moment), media_url: mediaOf(moment) };
      const address = href({ ...state, show: moment.clip_id });
      const label = t("hit.open", { title: hit.title, time: clock(moment.start) });
      return preview(clip, address, label, clock(moment.start));
    });
    const facts = el("span", { className: "facts" }, t("film.moments", { n: moments.length }));
    const score = el("span", { className: "score" }, hit.score.toFixed(2));
    const head = el("div", { className: "head" }, el("h2", {}, hit.title), facts, score);
    const line = el("div", { className: "place-of-timeline" });
    const told = [quotation(hit)].filter(Boolean);
    const row = el("li", { className: "film", data: { id: hit.video_id } });
    const about = el("div", { className: "about" }, head, stack.node, ...told);
    row.append(about, el("div", { className: "found" }, el("div", { className: "row-of-moments" }, ...pictures), line));
    row.measured = (duration) => {
      facts.textContent = `${t("film.moments", { n: moments.length })} · ${seconds(duration)}`;
      // A line that is all one moment says nothing.
      if (moments.length === 1 && moments[0].end - moments[0].start > WHOLE * duration) return line.remove();
      const go = (moment) => href({ ...state, show: moment.clip_id });
      line.replaceChildren(timeline({ duration, moments, address: go }).node);
    };
    return row;
  }

  // Answers do not say how long a film is.
  async measure(hits) {
    const unknown = hits.map((hit) => hit.video_id).filter((id) => !this.lengths.has(id));
    if (unknown.length) {
      const { items } = await api.videos({ ids: unknown, limit: unknown.length }).catch(() => ({ items: [] }));
      for (const video of items) this.lengths.set(video.video_id, video.duration);
    }
    for (const row of this.node.children) {
      const duration = this.lengths.get(Number(row.dataset.id));
      if (duration) row.measured(duration);
    }
  }

  focus(place) {
    this.node.children[place]?.querySelector("a")?.focus({ preventScroll: true });
  }

  redraw() {}

  close() {}

  steps = () => stepsOf(this.hits);
}

// Moments have no addresses of their own but their picture's.
const stripOf = ({ thumbnail_url: url }) => url.replace(/thumbnail$/, "strip");
const mediaOf = ({ thumbnail_url: url }) => url.replace(/thumbnail$/, "media");
