// The videos of the library with pictures of their clips: narrowed by title, tag and folder, in a chosen order, to be
// opened, searched, and selected.

import { asked, go, settle } from "../common/address.js";
import * as api from "../common/api.js";
import { bytes, clock, el, icon, seconds } from "../common/dom.js";
import { button, message, say } from "../common/messages.js";
import { paged } from "../common/paged_list.js";
import { preview } from "../common/preview.js";
import { NO_FILTERS, ORDERS, href } from "../common/state.js";
import { day, t } from "../common/words.js";

const VIDEOS = 40;
// Pictures of a video's clips that are shown at first, and at all.
const PICTURES = 8;
const MOST_PICTURES = 1000;
const OFFERED = 1000;
// Milliseconds without another letter after which titles are looked for.
const TYPING = 150;

const wantedOf = ({ title, order, filters }) => JSON.stringify([title, order, filters.tag, filters.in]);

// The list of videos, and the fields that narrow it.
export class Videos {
  // `selection`: {node, box(video)}, the bar for what is selected.
  constructor(selection, signal) {
    Object.assign(this, { selection, signal });
    this.place = el("div", {});
    this.input = el("input", { type: "search", className: "find", placeholder: t("library.find"), maxLength: 200 });
    this.input.ariaLabel = t("library.find");
    const typed = () => this.go({ title: this.input.value.trim() || null }, { live: true, delay: TYPING });
    this.input.addEventListener("input", typed);
    this.input.addEventListener("change", settle);
    this.order = choice(t("library.order"), ORDERS.map((name) => [name, t(`order.${name}`)]), (order) => this.go({ order: order === "added" ? null : order }));
    const filter = (name, value) => this.go({ filters: { ...NO_FILTERS, ...asked().filters, [name]: value } });
    this.tag = choice(t("library.tag"), [["", t("library.allTags")]], (tag) => filter("tag", tag ? [tag] : []));
    this.folder = choice(t("library.folder"), [["", t("library.allFolders")]], (folder) => filter("in", folder || null));
    this.tag.hidden = this.folder.hidden = true;
    this.bar = el("div", { className: "library-bar" }, this.input, this.order, this.tag, this.folder);
    this.node = el("section", { ariaLabel: t("library.videos") }, this.bar, this.selection.node, this.place);
    this.offer();
  }

  go(patch, how) {
    go({ ...asked(), ...patch }, how);
  }

  // Tags and folders to choose from, where there are any.
  async offer() {
    const none = { items: [] };
    const [tags, folders] = await Promise.all([
      api.tags(OFFERED, this.signal).catch(() => none),
      api.folders(OFFERED, this.signal).catch(() => none),
    ]);
    for (const [select, values] of [[this.tag, tags.items.map(({ tag }) => tag)], [this.folder, folders.items]]) {
      select.append(...values.map((value) => el("option", { value }, value)));
      select.hidden = values.length === 0;
    }
    this.mark(asked());
  }

  // The fields say what the address says.
  mark({ title, order, filters }) {
    if (this.input.value.trim() !== (title ?? "")) this.input.value = title ?? "";
    this.order.value = order ?? "added";
    this.tag.value = filters.tag[0] ?? "";
    this.folder.value = filters.in ?? "";
  }

  find(state, delay) {
    if (wantedOf(state) === this.wanted) return;
    clearTimeout(this.timer);
    const failed = (error) => error.name !== "AbortError" && say(error.message);
    this.timer = setTimeout(() => this.list(state).catch(failed), delay);
  }

  async list(state) {
    const wanted = wantedOf(state);
    this.wanted = wanted;
    this.mark(state);
    const narrowed = { title: state.title ?? "", sort: state.order ?? "added", tag: state.filters.tag, path: state.filters.in };
    const load = async (offset) => {
      const page = await api.videos({ ...narrowed, offset, limit: VIDEOS, clips: PICTURES }, this.signal);
      this.total = page.total;
      return page;
    };
    const draw = (video) => this.row(video);
    const list = await paged({ load, draw, className: "videos", label: t("library.videos") });
    if (wanted !== this.wanted) return;
    const all = button(t("library.showAll"), () => this.go({ title: null, filters: NO_FILTERS }), "primary");
    const none = message(t("library.none"), [state.title ? t("library.none.title", { title: state.title }) : t("library.none.detail")], all);
    this.place.replaceChildren(this.total ? list : none);
  }

  row(video) {
    const pictures = el("div", { className: "pictures" });
    const facts = [seconds(video.duration), t("count.clips", { n: video.clips }), `${video.width}×${video.height}`, bytes(video.bytes), day(video.modified)];
    const within = el("a", { className: "action", href: href({ filters: { ...NO_FILTERS, video: [video.video_id] } }) });
    within.append(icon("search"), t("library.search"));
    within.ariaLabel = t("library.searchIn", { title: video.title });
    const head = el("div", { className: "head" }, this.selection.box(video), el("h3", {}, video.title));
    const about = el(
      "div",
      { className: "about" },
      head,
      el("p", { className: "path", title: `${video.root}/${video.path}` }, `${video.root}/${video.path}`),
      el("p", {}, facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · ")),
      el("div", { className: "actions" }, within, ...video.tags.map(taggedSo)),
    );
    this.fill(pictures, video, video.first_clips);
    return el("li", { className: video.clips > 1 ? "many" : "" }, pictures, about);
  }

  fill(pictures, video, clips) {
    const links = clips.map((clip) => {
      const address = href({ ...asked(), tab: "library", show: clip.clip_id });
      const label = t("hit.open", { title: clip.title, time: clock(clip.start) });
      return preview(clip, address, label, video.clips > 1 ? clock(clip.start) : undefined);
    });
    pictures.replaceChildren(...links);
    // Of a video of thousands of clips, the rest is left to searches.
    const left = clips.length < MOST_PICTURES ? video.clips - clips.length : 0;
    if (left > 0) pictures.append(button(t("action.more", { count: left }), () => this.extend(pictures, video)));
  }

  async extend(pictures, video) {
    try {
      const { items } = await api.clipsOf(video.video_id, MOST_PICTURES, this.signal);
      const at = pictures.children.length - 1;
      this.fill(pictures, video, items);
      pictures.children[at]?.focus({ preventScroll: true });
    } catch (error) {
      if (error.name !== "AbortError") pictures.append(el("small", { className: "wrong" }, error.message));
    }
  }
}

function choice(label, values, act) {
  const select = el("select", { ariaLabel: label }, ...values.map(([value, text]) => el("option", { value }, text)));
  select.addEventListener("change", () => act(select.value));
  return select;
}

function taggedSo(tag) {
  const link = el("a", { className: "tag", href: href({ filters: { ...NO_FILTERS, tag: [tag] } }) }, tag);
  link.ariaLabel = t("library.searchTag", { tag });
  return link;
}
