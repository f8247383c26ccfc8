// The clip that is asked about, above the results: one of the library, or a video that was dropped.

import { href } from "../common/address.js";
import * as api from "../common/api.js";
import { byId, bytes, clock, el } from "../common/dom.js";
import { preview } from "../common/preview.js";
import { action } from "./cards.js";

let url = null;

export function clear() {
  byId("subject").hidden = true;
  byId("subject").replaceChildren();
  if (url) URL.revokeObjectURL(url);
  url = null;
}

function show(picture, ...about) {
  byId("subject").replaceChildren(picture, el("div", {}, ...about));
  byId("subject").hidden = false;
}

export async function showStored(clipId, what, signal) {
  if (byId("subject").dataset.shown === `${what} ${clipId}` && !byId("subject").hidden) return;
  const clip = await api.clip(clipId, signal);
  document.title = `${what} ${clip.title} · Quartet`;
  const [own] = clip.captions;
  const line = own ? `“${own.text}”` : "It came without a caption.";
  const both = el(
    "div",
    { className: "actions" },
    what === "More like" ? null : action("like", "More like this", `More like ${clip.title}`, { like: clipId }),
    what === "Captions for"
      ? null
      : action("text", "Captions", `Captions for ${clip.title}`, { tab: "captions", clip: clipId }),
  );
  const here = what === "More like" ? { like: clipId } : { tab: "captions", clip: clipId };
  const picture = preview(clip, href({ ...here, show: clipId }), `Open ${clip.title} at ${clock(clip.start)}`);
  show(picture, el("p", {}, what), el("h2", {}, clip.title), el("p", {}, line), both);
  byId("subject").dataset.shown = `${what} ${clipId}`;
}

export function showFile(file) {
  if (byId("subject").dataset.shown === file.name && url) return;
  clear();
  url = URL.createObjectURL(file);
  // A browser complains of an empty film before the service can say that it is empty.
  const video = file.size
    ? el("video", { src: url, controls: true, muted: true, playsInline: true, ariaLabel: file.name })
    : null;
  const picture = el("div", { className: "screen" }, video);
  show(picture, el("p", {}, "Captions for"), el("h2", {}, file.name), el("p", {}, bytes(file.size)));
  byId("subject").dataset.shown = file.name;
}
