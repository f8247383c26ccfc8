// What the library holds: its videos with their clips, the files that were refused, and the way to add more.

import * as api from "./api.js";
import { href } from "./address.js";
import { byId, bytes, clock, count, el, icon, seconds } from "./dom.js";
import { failureItem } from "./failure.js";
import { showJobs } from "./jobs.js";
import { paged } from "./paged.js";
import { preview } from "./preview.js";
import { busy, command, message, say, show } from "./states.js";

const VIDEOS = 40;
const FAILURES = 5;
// Pictures of a video's clips that are shown at first.
const PICTURES = 8;

export const asks = () => true;

export const titleOf = () => "Library";

export async function answer(state, signal) {
  busy(true);
  const { counts, generation } = await api.library(signal);
  const refresh = () => answer(state, signal).catch((error) => error.name === "AbortError" || say(error.message));
  const parts = await Promise.all([addition(refresh, signal), failureList(counts, signal), videoList(counts, signal)]);
  if (signal.aborted) return;
  show(el("div", { className: "library" }, ...parts.filter(Boolean)));
  byId("read").replaceChildren();
  const refused = counts.failures ? `, ${count(counts.failures, "refused file")}` : "";
  const held = [count(counts.videos, "video"), count(counts.clips, "clip"), count(counts.captions, "caption")];
  say(`${held.join(", ")}${refused}. Generation ${generation}.`);
  busy(false);
}

const section = (title, ...parts) => el("section", { ariaLabel: title }, el("h2", {}, title), ...parts);

// The panel outlives what is shown after a job, so that its progress is not drawn anew.
let panel = null;

async function addition(refresh, signal) {
  if (panel?.signal !== signal) panel = { signal, node: await showJobs(refresh, signal) };
  return panel.node;
}

async function videoList(counts, signal) {
  if (!counts.videos) {
    const add = command("quartet index PATHS --library DIR");
    return section("Videos", message("No videos yet", ["Add some above, or with:", add]));
  }
  const load = (offset) => api.videos(offset, VIDEOS, signal);
  const look = watcher();
  const draw = (video) => videoRow(video, look, signal);
  return section("Videos", await paged({ load, draw, className: "videos", label: "Videos" }));
}

// Calls what belongs to a node when it first comes near the window.
function watcher() {
  const waiting = new WeakMap();
  const observer = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        waiting.get(target)();
      }
    },
    { rootMargin: "300px" },
  );
  return (node, act) => {
    waiting.set(node, act);
    observer.observe(node);
  };
}

function videoRow(video, look, signal) {
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
    within,
  );
  const row = el("li", { className: video.clips > 1 ? "many" : "" }, pictures, about);
  look(row, () => fill(pictures, video, PICTURES, signal));
  return row;
}

// Never rejects: what went wrong stands in the place of the pictures.
async function fill(pictures, video, limit, signal) {
  let items;
  try {
    ({ items } = await api.clipsOf(video.video_id, limit, signal));
  } catch (error) {
    if (error.name !== "AbortError") pictures.replaceChildren(el("small", { className: "wrong" }, error.message));
    return;
  }
  const links = items.map((clip) =>
    preview(clip, href({ tab: "library", show: clip.clip_id }), `Open ${clip.title} at ${clock(clip.start)}`),
  );
  const left = video.clips - items.length;
  const rest = el("button", { type: "button", className: "ghost" }, `${left} more`);
  rest.addEventListener("click", () => fill(pictures, video, 1000, signal));
  pictures.replaceChildren(...links, ...(left > 0 && limit < 1000 ? [rest] : []));
}

async function failureList(counts, signal) {
  if (!counts.failures) return null;
  const load = (offset) => api.failures(offset, FAILURES, signal);
  const list = await paged({ load, draw: failureItem, className: "failures", label: "Refused files" });
  return section("Refused files", el("p", { className: "soft" }, "Each is tried again when it has changed."), list);
}
