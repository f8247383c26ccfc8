// A clip, large, from its first second on, with all that is known of why it was found. Its address can be shared.

import { asked, closeViewer, go } from "../common/address.js";
import * as api from "../common/api.js";
import { HOME, at, byId, bytes, clock, count, el, icon, play, seconds, signed, still } from "../common/dom.js";
import { meaningOf, words } from "../common/levels.js";
import { problem } from "../common/messages.js";
import { action } from "./cards.js";
import { cue, quotation } from "./line.js";

const dialog = () => byId("viewer");

let shown = null;
let running = new AbortController();

// `ranking`: the hits around it, if any; they lead to the next one and say why this one is there.
export async function show(clipId, ranking) {
  const hit = ranking?.hit(clipId) ?? null;
  if (clipId === shown?.clipId) {
    // The search may answer after the viewer was opened, which is how a shared address begins.
    shown = { clipId, hit: hit ?? shown.hit, ranking };
    place();
    return;
  }
  running.abort();
  running = new AbortController();
  const { signal } = running;
  shown = { clipId, hit, ranking };
  if (!dialog().open) dialog().showModal();
  try {
    const clip = await api.clip(clipId, signal);
    draw(clip);
    place();
    const video = await api.video(clip.video_id, signal);
    byId("viewer-file").textContent =
      `${video.path} · ${seconds(video.duration)} · ${video.width}×${video.height} · ${bytes(video.bytes)}`;
  } catch (error) {
    if (error.name !== "AbortError") dialog().replaceChildren(closing(), problem(error, () => again(clipId, ranking)));
  }
}

// What the search says of the clip, as soon as both are there.
function place() {
  if (!byId("viewer-why")) return;
  byId("viewer-why").replaceChildren(...why());
  byId("viewer-around").replaceChildren(...around());
}

function again(clipId, ranking) {
  shown = null;
  show(clipId, ranking);
}

export function hide() {
  shown = null;
  running.abort();
  if (dialog().open) dialog().close();
  // Ends what is playing and loading.
  dialog().replaceChildren();
}

function closing() {
  const button = el("button", { type: "button", className: "icon close", ariaLabel: "Close" }, icon("close"));
  button.addEventListener("click", closeViewer);
  return button;
}

function draw(clip) {
  const video = el("video", { controls: true, playsInline: true, preload: "auto", poster: at(clip.thumbnail_url) });
  video.ariaLabel = clip.title;
  video.src = `${at(clip.media_url)}#t=${cue(clip, shown.hit)}`;
  video.autoplay = !still.matches;
  // Sound that nobody asked for is rude, and browsers forbid it.
  video.muted = true;
  const unplayable = el("p", { className: "unplayable", role: "alert", hidden: true });
  unplayable.textContent = "This browser cannot play the file.";
  video.addEventListener("error", () => (unplayable.hidden = false));
  const rewind = el("button", { type: "button", className: "ghost" }, "Play the clip");
  rewind.addEventListener("click", () => {
    video.currentTime = clip.start;
    play(video);
  });
  const only = el("a", { className: "action", href: onlyHere(clip) }, icon("film"), "Only this video");
  const captions = clip.captions.map(({ text }) => el("li", {}, text));
  dialog().replaceChildren(
    el("div", { className: "stage" }, video, unplayable),
    el(
      "div",
      { className: "side" },
      el("h2", { id: "viewer-title" }, clip.title),
      el("p", { className: "when" }, `${clock(clip.start)} to ${clock(clip.end)}, ${seconds(clip.end - clip.start)}`),
      el(
        "div",
        { className: "actions" },
        rewind,
        action("like", "More like this", `More like ${clip.title}`, { like: clip.clip_id }),
        action("text", "Captions", `Captions for ${clip.title}`, { tab: "captions", clip: clip.clip_id }),
        el("a", { className: "action", href: clip.media_url.replace(/media$/, "file"), download: "" }, icon("film"), "Save the clip"),
        only,
      ),
      el("div", { id: "viewer-why" }),
      captions.length ? el("h3", {}, count(captions.length, "caption")) : null,
      captions.length ? el("ul", { className: "own" }, ...captions) : null,
      el("p", { className: "file", id: "viewer-file" }),
    ),
    el("div", { id: "viewer-around" }),
    closing(),
  );
}

// The same search in this video alone; without a search, clips like this one.
function onlyHere(clip) {
  const state = asked();
  const parts = new URLSearchParams(state.q !== null ? { q: state.q } : { like: clip.clip_id });
  parts.set("video", clip.video_id);
  return `${HOME}?${parts}`;
}

function why() {
  const { hit, ranking } = shown;
  if (!hit) return [];
  const rows = Object.keys(hit.levels).map((name) => {
    const { activation, weight, contribution } = hit.levels[name];
    const cell = (text) => el("td", {}, text);
    const head = el("th", { scope: "row", data: { level: name } }, name, el("small", {}, meaningOf(name)));
    if (weight === 0) return el("tr", { className: "silent" }, head, cell("–"), cell("0"), cell("–"));
    const counted = cell(`× ${Number(weight.toFixed(2))}`);
    return el("tr", {}, head, cell(signed(activation)), counted, cell(signed(contribution)));
  });
  const heads = ["Level", "Score", "Weight", "Gives"].map((text) => el("th", { scope: "col" }, text));
  const sum = el("th", { scope: "row", colSpan: 3 }, "Score of the clip");
  const total = el("tr", {}, sum, el("td", {}, signed(hit.score)));
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...heads)),
    el("tbody", {}, ...rows),
    el("tfoot", {}, total),
  );
  const { query_attributes: asked = null, unknown = null } = ranking?.answer ?? {};
  const matched = words(hit.matched, asked, unknown);
  return [el("h3", {}, "Why it was found"), quotation(hit), table, matched].filter(Boolean);
}

function around() {
  const { clipId, ranking } = shown;
  const hits = ranking?.hit(clipId) ? ranking.answer.hits : [];
  const at = hits.findIndex((hit) => hit.clip_id === clipId);
  return [
    ["prev", hits[at - 1], "Previous clip"],
    ["next", at < 0 ? undefined : hits[at + 1], "Next clip"],
  ].map(([name, hit, label]) => {
    const button = el("button", { type: "button", className: `icon ${name}`, ariaLabel: label }, icon(name));
    button.hidden = hit === undefined;
    button.addEventListener("click", () => go({ ...asked(), show: hit.clip_id }, { replace: true }));
    return button;
  });
}

export function listen() {
  dialog().addEventListener("cancel", (event) => {
    event.preventDefault();
    closeViewer();
  });
  // On the backdrop, which belongs to the dialog itself.
  dialog().addEventListener("click", (event) => event.target === dialog() && closeViewer());
  dialog().addEventListener("keydown", (event) => {
    if (event.target.closest("video") || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    dialog().querySelector(event.key === "ArrowLeft" ? ".prev" : ".next")?.click();
  });
}
