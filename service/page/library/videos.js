// The videos of the library with pictures of their clips, narrowed by their titles.

import { asked, go, href, settle } from "../common/address.js";
import * as api from "../common/api.js";
import { bytes, clock, count, el, icon, seconds } from "../common/dom.js";
import { button, message, say } from "../common/messages.js";
import { paged } from "../common/paged_list.js";
import { preview } from "../common/preview.js";

const VIDEOS = 40;
// Pictures of a video's clips that are shown at first, and at all.
const PICTURES = 8;
const MOST_PICTURES = 1000;
// Milliseconds without another letter after which titles are looked for.
const TYPING = 220;

let finder = null;

// Only the videos with the title that an address names; the rest of the library stays as it is.
export function find({ title }, { delay }) {
  if (finder?.input.isConnected) finder.find(title, delay);
}

// The field and the list, filled with its first page.
export async function videoList(signal) {
  finder = new Finder(signal);
  await finder.list(asked().title);
  return [finder.input, finder.place];
}

// The list of videos, and the field that narrows it by their titles.
class Finder {
  constructor(signal) {
    this.signal = signal;
    this.place = el("div", {});
    this.input = el("input", { type: "search", className: "find", placeholder: "Find by title", maxLength: 200 });
    this.input.ariaLabel = "Find videos by title";
    const typed = () => go({ ...asked(), title: this.input.value.trim() || null }, { live: true, delay: TYPING });
    this.input.addEventListener("input", typed);
    this.input.addEventListener("change", settle);
  }

  find(title, delay) {
    if (title === this.title) return;
    clearTimeout(this.timer);
    const failed = (error) => error.name !== "AbortError" && say(error.message);
    this.timer = setTimeout(() => this.list(title).catch(failed), delay);
  }

  async list(title) {
    this.title = title;
    if (this.input.value.trim() !== (title ?? "")) this.input.value = title ?? "";
    const load = async (offset) => {
      const page = await api.videos({ title: title ?? "", offset, limit: VIDEOS, clips: PICTURES }, this.signal);
      this.total = page.total;
      return page;
    };
    const draw = (video) => videoRow(video, this.signal);
    const list = await paged({ load, draw, className: "videos", label: "Videos" });
    if (title !== this.title) return;
    const none = message(`No title has “${title}” in it`, ["Titles are the names of the files."]);
    this.place.replaceChildren(this.total ? list : none);
  }
}

function videoRow(video, signal) {
  const pictures = el("div", { className: "pictures" });
  const size = `${video.width}×${video.height}`;
  const facts = [seconds(video.duration), size, bytes(video.bytes), count(video.clips, "clip")];
  const there = href({ videos: [video.video_id] });
  const within = el("a", { className: "action", href: there }, icon("search"), "Search in it");
  within.ariaLabel = `Search in ${video.title}`;
  const about = el(
    "div",
    {},
    el("h3", {}, video.title),
    el("p", {}, `${video.root}/${video.path}`),
    el("p", {}, facts.join(" · ")),
    el("div", { className: "actions" }, within, ...video.tags.map(taggedSo)),
  );
  fill(pictures, video, video.first_clips, signal);
  return el("li", { className: video.clips > 1 ? "many" : "" }, pictures, about);
}

function taggedSo(tag) {
  const link = el("a", { className: "tag", href: href({ tags: [tag] }) }, tag);
  link.ariaLabel = `Search in videos tagged ${tag}`;
  return link;
}

function fill(pictures, video, clips, signal) {
  const links = clips.map((clip) => {
    const address = href({ tab: "library", title: asked().title, show: clip.clip_id });
    return preview(clip, address, `Open ${clip.title} at ${clock(clip.start)}`);
  });
  pictures.replaceChildren(...links);
  // Of a video of thousands of clips, the rest is left to searches.
  const left = clips.length < MOST_PICTURES ? video.clips - clips.length : 0;
  if (left > 0) pictures.append(button(`${left} more`, () => extend(pictures, video, signal)));
}

async function extend(pictures, video, signal) {
  try {
    const { items } = await api.clipsOf(video.video_id, MOST_PICTURES, signal);
    const at = pictures.children.length - 1;
    fill(pictures, video, items, signal);
    pictures.children[at]?.focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError") pictures.append(el("small", { className: "wrong" }, error.message));
  }
}
