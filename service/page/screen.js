// A clip that plays while it is pointed at, focused or tapped. The video is fetched on the first play only.

import { el, seconds } from "./dom.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

// Frames in a contact strip (indexer/thumbnails.py).
const LEAVES = 8;

// The frames of a clip one after the other: until its video plays, and where it cannot. Fetched on first use.
function leafing(url) {
  const strip = el("span", { className: "strip", ariaHidden: "true" });
  const image = new Image();
  image.addEventListener("load", () => {
    const ratio = image.naturalWidth / LEAVES / image.naturalHeight;
    strip.style.aspectRatio = ratio;
    // As large as the screen, which is 4 to 3, allows.
    strip.style[ratio > 4 / 3 ? "width" : "height"] = "100%";
    strip.style.backgroundImage = `url("${image.src}")`;
  });
  return { strip, begin: () => image.src || (image.src = url) };
}

export function screen({ title, mediaUrl, thumbnailUrl = "", stripUrl = null, start = 0, end = null }) {
  const video = el("video", { muted: true, loop: true, playsInline: true, preload: "none", poster: thumbnailUrl });
  video.tabIndex = -1;
  const leaves = stripUrl === null ? null : leafing(stripUrl);
  const button = el(
    "button",
    { type: "button", className: "screen", ariaLabel: `Play ${title}` },
    video,
    leaves && leaves.strip,
    el("span", { className: "play", ariaHidden: "true" }),
    end === null ? null : el("span", { className: "time" }, seconds(end - start)),
  );

  const play = () => {
    if (!video.src) {
      // A media fragment (W3C) keeps the player inside of the clip where the file holds more.
      video.src = end === null ? mediaUrl : `${mediaUrl}#t=${start},${end}`;
    }
    button.classList.add("playing");
    leaves?.begin();
    // Rejected when it is paused before it has begun, which is what leaving a card does.
    video.play().catch((error) => error.name === "AbortError" || button.classList.add("broken"));
  };
  const pause = () => {
    button.classList.remove("playing", "moving");
    video.pause();
  };
  // Chromium stops at the end of a fragment instead of looping within it.
  video.addEventListener("pause", () => {
    if (button.classList.contains("playing") && end !== null && video.currentTime >= end - 0.1) {
      video.currentTime = start;
      video.play().catch(() => button.classList.remove("playing"));
    }
  });
  video.addEventListener("playing", () => button.classList.add("moving"));
  video.addEventListener("error", () => button.classList.add("broken"));

  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && !still.matches && play());
  button.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && pause());
  button.addEventListener("focus", () => button.matches(":focus-visible") && !still.matches && play());
  button.addEventListener("blur", pause);
  button.addEventListener("click", (event) => {
    const hovering = event.pointerType === "mouse" && !still.matches;
    if (button.classList.contains("playing") && !hovering) {
      pause();
    } else {
      play();
      // A tap does not focus a button everywhere; with the focus, the next tap elsewhere stops this clip.
      button.focus({ preventScroll: true });
    }
  });
  return button;
}
