// Which clips may be hits. `changed(patch)` is called with the filters that were changed.

import * as api from "../common/api.js";
import { byId, el } from "../common/dom.js";
import { NO_FILTERS, filtersIn } from "../common/state.js";
import { t } from "../common/words.js";
import { Chooser } from "./chooser.js";

const OFFERED = 1000;

export class Filters {
  constructor(changed) {
    this.changed = (patch) => changed({ ...this.filters, ...patch });
    this.filters = NO_FILTERS;
    this.titles = new Map();
    // The tags and folders there are, once they are asked for. Where there are none, there is nothing to choose.
    this.offers = null;
    this.video = new Chooser({
      id: "videos",
      label: t("filter.video"),
      load: (text) => this.videosLike(text),
      changed: (video) => this.changed({ video }),
      nameOf: (id) => this.titles.get(id),
      without: (title) => t("filter.video.remove", { title }),
    });
    this.tag = new Chooser({
      id: "tags",
      label: t("filter.tag"),
      load: () => this.named(api.tags, ({ tag, videos }) => [tag, tag, videos]),
      changed: (tag) => this.changed({ tag }),
      nameOf: (tag) => tag,
      without: (tag) => t("filter.tag.remove", { tag }),
    });
    this.fields = {
      in: this.text("in"),
      words: this.text("words"),
      from: this.numeric("from", { min: 0 }),
      to: this.numeric("to", { min: 0 }),
      after: this.date("after"),
      before: this.date("before"),
      shortest: this.numeric("shortest", { min: 0 }),
      longest: this.numeric("longest", { min: 0 }),
      min: this.numeric("min", { min: -1, max: 1, step: 0.05 }),
      text: this.choice("text", { "": "filter.any", true: "filter.text.with", false: "filter.text.without" }),
      lang: this.languages(),
    };
    this.folders = el("datalist", { id: "folders" });
    this.fields.in.setAttribute("list", "folders");
    this.clear = el("button", { type: "button", className: "plain", ariaLabel: t("filters.clear") }, t("filters.clear.short"));
    this.clear.addEventListener("click", () => this.changed(NO_FILTERS));
    const pair = (...names) => el("div", { className: "pair" }, ...names.map((name) => this.labelled(name)));
    const more = el("details", { id: "more-filters" }, el("summary", {}, t("filters.more")));
    more.append(
      pair("after", "before"),
      pair("shortest", "longest"),
      this.labelled("words"),
      pair("text", "lang"),
    );
    this.more = more;
    this.places = el("div", { className: "places" }, this.video.node, this.tag.node, this.labelled("in"), this.folders, pair("from", "to"), more);
    byId("filters").append(this.places, this.labelled("min"), this.clear);
  }

  labelled(name) {
    return el("label", {}, el("span", {}, t(`filter.${name}`)), this.fields[name]);
  }

  text(name) {
    const input = el("input", { type: "text", placeholder: t(`filter.${name}.hint`), autocomplete: "off" });
    input.addEventListener("input", () => this.changed({ [name]: input.value.trim() || null }));
    return input;
  }

  date(name) {
    const input = el("input", { type: "date" });
    input.addEventListener("change", () => this.changed({ [name]: input.value || null }));
    return input;
  }

  choice(name, choices) {
    const options = Object.entries(choices).map(([value, key]) => el("option", { value }, t(key)));
    const select = el("select", {}, ...options);
    select.addEventListener("change", () => this.changed({ [name]: { true: true, false: false }[select.value] ?? null }));
    return select;
  }

  languages() {
    const input = el("input", { type: "text", placeholder: t("filter.lang.hint"), autocomplete: "off" });
    input.addEventListener("change", () => {
      const codes = input.value.toLowerCase().split(/[\s,]+/).filter((code) => /^[a-z]{2,3}$/.test(code));
      this.changed({ lang: [...new Set(codes)] });
    });
    return input;
  }

  numeric(field, limits) {
    const input = el("input", { type: "number", placeholder: t("filter.any"), step: "any", ...limits });
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

  // Show what a state says. `places`: whether videos and times can be chosen at all (captions have neither); `shown`:
  // whether there is anything to filter yet.
  async set({ filters }, { places, shown }) {
    this.filters = filters;
    this.places.hidden = !places;
    this.clear.hidden = filtersIn(filters) === 0;
    for (const [name, field] of Object.entries(this.fields)) {
      // What is being typed is left alone: "0." is a number on its way.
      const value = filters[name];
      if (document.activeElement !== field) field.value = Array.isArray(value) ? value.join(", ") : String(value ?? "");
    }
    if (["after", "before", "shortest", "longest", "words", "text"].some((name) => filters[name] !== null)) this.more.open = true;
    this.tag.show(filters.tag);
    if (places && shown) this.offer();
    await Promise.all(filters.video.map((id) => this.learn(id)));
    if (this.filters !== filters) return;
    this.video.show(filters.video);
    this.tellWithin(filters);
  }

  // Asked for once, and not before there is something to filter.
  offer() {
    this.offers ??= Promise.all([api.tags(OFFERED), api.folders(OFFERED)]).catch(() => [{ items: [] }, { items: [] }]);
    this.offers.then(([tags, folders]) => {
      this.tag.node.hidden = !tags.items.length && !this.filters.tag.length;
      this.fields.in.parentElement.hidden = !folders.items.length && this.filters.in === null;
      this.folders.replaceChildren(...folders.items.map((value) => el("option", { value })));
    });
  }

  // On the start page, where the filters are not shown, an address may bring some.
  tellWithin(filters) {
    const places = filters.video.map((id) => this.titles.get(id)).join(", ");
    const tags = filters.tag.join(", ");
    const clear = el("button", { type: "button", className: "plain" }, t("filters.everywhere"));
    clear.addEventListener("click", () => this.changed(NO_FILTERS));
    const told = places ? t("filters.onlyIn", { places }) : tags ? t("filters.onlyTagged", { tags }) : t("filters.on");
    byId("within").replaceChildren(el("span", {}, told), clear);
    byId("within").hidden = filtersIn(filters) === 0;
  }

  async learn(id) {
    if (this.titles.has(id)) return;
    const title = await api.video(id).then(
      (video) => video.title,
      () => t("filter.video.unknown", { id: String(id) }),
    );
    this.titles.set(id, title);
  }

  async videosLike(text) {
    const { total, items } = await api.videos({ title: text, limit: OFFERED });
    for (const video of items) this.titles.set(video.video_id, video.title);
    const complete = !text && total <= OFFERED;
    return { complete, items: items.map((video) => [video.title, video.video_id]) };
  }

  async named(load, pair) {
    const { total, items } = await load(OFFERED);
    return { complete: total <= OFFERED, items: items.map(pair) };
  }
}
