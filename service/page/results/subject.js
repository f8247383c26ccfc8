// The clip whose captions are shown: one of the library, or a video that was dropped.

import * as api from "../common/api.js";
import { byId, bytes, clock, el } from "../common/dom.js";
import { preview } from "../common/preview.js";
import { href } from "../common/state.js";
import { t } from "../common/words.js";
import { action } from "./clip_card.js";

let url = null;

export function clear() {
  byId("subject").hidden = true;
  byId("subject").replaceChildren();
  delete byId("subject").dataset.shown;
  if (url) URL.revokeObjectURL(url);
  url = null;
}

function show(shown, picture, ...about) {
  byId("subject").replaceChildren(picture, el("div", {}, ...about));
  byId("subject").hidden = false;
  byId("subject").dataset.shown = shown;
}

export async function showStored(clipId, signal) {
  if (byId("subject").dataset.shown === String(clipId)) return;
  const clip = await api.clip(clipId, signal);
  document.title = `${t("subject.captions")}: ${clip.title} · Quartet`;
  const [own] = clip.captions;
  const line = own ? t("subject.caption", { text: own.text }) : t("subject.noCaption");
  const similar = action("like", t("hit.similar"), t("hit.similarTo", { title: clip.title }), likeState(clipId));
  const address = href({ tab: "captions", clip: clipId, show: clipId });
  const picture = preview(clip, address, t("hit.open", { title: clip.title, time: clock(clip.start) }));
  const actions = el("div", { className: "actions" }, similar);
  show(clipId, picture, el("p", {}, t("subject.captions")), el("h2", {}, clip.title), el("p", {}, line), actions);
}

// The question that a clip alone is.
export const likeState = (clip) => ({ parts: [{ role: "like", value: clip }] });

export function showFile(file) {
  if (byId("subject").dataset.shown === file.name && url) return;
  clear();
  url = URL.createObjectURL(file);
  // A browser complains of an empty film before the service can say that it is empty.
  const video = file.size
    ? el("video", { src: url, controls: true, muted: true, playsInline: true, ariaLabel: file.name })
    : null;
  const picture = el("div", { className: "screen" }, video);
  show(file.name, picture, el("p", {}, t("subject.captions")), el("h2", {}, file.name), el("p", {}, bytes(file.size)));
}
