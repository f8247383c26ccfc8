// A clip, large: the moment plays, and beside it stands all that is known of why it was found. Its address can be shared.

import { asked, closeViewer, go } from "../common/address.js";
import * as api from "../common/api.js";
import { at, byId, bytes, clock, el, icon, seconds } from "../common/dom.js";
import { problem } from "../common/messages.js";
import { href } from "../common/state.js";
import { day, t } from "../common/words.js";
import { action, react } from "../results/clip_card.js";
import { close as closeDetails } from "../results/details.js";
import { cue } from "../results/line.js";
import { likeState } from "../results/subject.js";
import { player } from "./player.js";
import { timeline } from "./timeline.js";
import { transcript } from "./transcript.js";
import { why } from "./why.js";

const LINES = 1000;

const dialog = () => byId("viewer");

// {clipId, ranking, step, stop}: what is shown, the list around it, and its place in that.
let shown = null;
let running = new AbortController();
// What had the focus when the viewer was opened.
let from = null;

// `ranking`: the hits around the clip, if any; they lead to the next one and say why this one is there.
export async function show(clipId, ranking) {
  const step = ranking?.steps().find((one) => one.clipId === clipId) ?? null;
  if (clipId === shown?.clipId) {
    // The search may answer after the viewer was opened, which is how a shared address begins.
    Object.assign(shown, { step: step ?? shown.step, ranking });
    place();
    return;
  }
  running.abort();
  shown?.stop?.();
  running = new AbortController();
  const { signal } = running;
  shown = { clipId, step, ranking };
  closeDetails();
  if (!dialog().open) {
    from = document.activeElement;
    dialog().showModal();
  }
  // Who steps on by a button goes on stepping.
  const held = ["prev", "next"].find((name) => document.activeElement?.classList.contains(name));
  try {
    const clip = await api.clip(clipId, signal);
    draw(clip);
    place();
    if (held) (dialog().querySelector(`.${held}:not([hidden])`) ?? dialog().querySelector(".close")).focus();
    const [video, texts] = await Promise.all([
      api.video(clip.video_id, signal),
      api.textsOf(clip.video_id, LINES, signal),
    ]);
    drawVideo(clip, video, texts.items);
  } catch (error) {
    if (error.name !== "AbortError") dialog().replaceChildren(closing(), problem(error, () => again(clipId, ranking)));
  }
}

// What the search says of the clip, as soon as both are there.
function place() {
  const { step, ranking } = shown;
  if (!byId("viewer-why")) return;
  byId("viewer-why").replaceChildren(...(step ? why(step.hit, ranking.answer) : []));
  byId("viewer-around").replaceChildren(...around());
}

function again(clipId, ranking) {
  shown = null;
  show(clipId, ranking);
}

export function hide() {
  shown?.stop?.();
  const { clipId } = shown ?? {};
  shown = null;
  running.abort();
  if (!dialog().open) return;
  dialog().close();
  dialog().replaceChildren();
  // The card of the clip that was looked at last, or what the viewer was opened from.
  const last = document.querySelector(`.card[data-id="${clipId}"] .screen`);
  if (last) last.focus();
  else if (from?.isConnected) from.focus();
}

function closing() {
  const button = el("button", { type: "button", className: "icon close", ariaLabel: t("action.close") }, icon("close"));
  button.addEventListener("click", closeViewer);
  return button;
}

function draw(clip) {
  const followers = [];
  const played = player(clip, cue(clip, shown.step?.hit), (second) => followers.forEach((follow) => follow(second)));
  Object.assign(shown, { stop: played.stop, seek: played.seek, followers });
  const state = asked();
  const react_ = (role, symbol) =>
    action(symbol, t(`viewer.${role}`), t(`hit.${role}`, { title: clip.title }), react(state, role, clip.clip_id));
  const save = el("a", { className: "action", href: at(clip.media_url.replace(/media$/, "file")), download: "" });
  save.append(icon("save"), t("viewer.save"));
  const about = el("p", { className: "when" }, clipTimes(clip));
  dialog().replaceChildren(
    el("div", { className: "stage" }, played.node, el("div", { id: "viewer-line" })),
    el(
      "div",
      { className: "side" },
      el("h2", { id: "viewer-title" }, clip.title),
      about,
      el(
        "div",
        { className: "actions" },
        react_("more", "plus"),
        react_("less", "minus"),
        action("like", t("hit.similar"), t("hit.similarTo", { title: clip.title }), likeState(clip.clip_id)),
        action("text", t("viewer.captions"), t("hit.captions", { title: clip.title }), { tab: "captions", clip: clip.clip_id }),
        el("a", { className: "action", href: onlyHere(clip) }, icon("film"), t("viewer.only")),
        save,
      ),
      el("div", { id: "viewer-why" }),
      el("div", { id: "viewer-texts" }),
      el("p", { className: "file", id: "viewer-file" }),
    ),
    el("div", { id: "viewer-around" }),
    closing(),
  );
}

const clipTimes = ({ start, end }) => `${t("viewer.span", { from: clock(start), to: clock(end) })}, ${seconds(end - start)}`;

// What concerns the whole video: its facts, its moments on a line, what is said in it.
function drawVideo(clip, video, texts) {
  const facts = [video.path, seconds(video.duration), `${video.width}×${video.height}`, bytes(video.bytes), day(video.modified)];
  byId("viewer-file").textContent = facts.join(" · ");
  const own = shown.ranking?.steps().filter(({ hit }) => hit.video_id === clip.video_id) ?? [];
  const found = own.map(({ clipId, hit }) => ({ clip_id: clipId, start: hit.start, end: hit.end, score: hit.score }));
  const moments = found.some((moment) => moment.clip_id === clip.clip_id) ? found : [...found, clip];
  const address = (moment) => href({ ...asked(), show: moment.clip_id });
  const line = timeline({ duration: video.duration, moments, address, now: clip.clip_id });
  byId("viewer-line").replaceChildren(line.node);
  const spoken = transcript(texts, shown.seek);
  const whole = texts.filter(({ start }) => start === null);
  const captions = whole.length
    ? el("section", {}, el("h3", {}, t("viewer.ownCaptions", { n: whole.length })), el("ul", { className: "own" }, ...whole.map(({ text }) => el("li", {}, text))))
    : null;
  byId("viewer-texts").replaceChildren(...[spoken?.node, captions].filter(Boolean));
  shown.followers.push(line.at, ...(spoken ? [spoken.at] : []));
}

// The same question to this video alone; without a question, clips like this one.
function onlyHere(clip) {
  const state = asked();
  const question = state.q !== null || state.parts.length ? state : likeState(clip.clip_id);
  const filters = { ...state.filters, video: [clip.video_id] };
  return href({ ...question, tab: "clips", clip: null, show: null, view: null, filters });
}

function around() {
  const { clipId, ranking } = shown;
  const steps = ranking?.steps() ?? [];
  const at = steps.findIndex((step) => step.clipId === clipId);
  return [
    ["prev", steps[at - 1], "viewer.previous"],
    ["next", at < 0 ? undefined : steps[at + 1], "viewer.next"],
  ].map(([name, step, label]) => {
    const button = el("button", { type: "button", className: `icon ${name}`, ariaLabel: t(label), title: t(label) }, icon(name));
    button.hidden = step === undefined;
    button.addEventListener("click", () => go({ ...asked(), show: step.clipId }, { replace: true }));
    return button;
  });
}

function listen() {
  dialog().addEventListener("cancel", (event) => {
    event.preventDefault();
    closeViewer();
  });
  // On the backdrop, which belongs to the dialog itself.
  dialog().addEventListener("click", (event) => event.target === dialog() && closeViewer());
  dialog().addEventListener("keydown", (event) => {
    if (event.target.closest("video, .transcript") || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    dialog().querySelector(event.key === "ArrowLeft" ? ".prev" : ".next")?.click();
  });
}

listen();
