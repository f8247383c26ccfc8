// A picture of a clip that plays, without sound, while it is pointed at or has the focus. Until its video has come, its
// contact strip is leafed through. Nothing is fetched before it is wanted.

import { at, el, play, seconds, still } from "./dom.js";

// Frames in a contact strip (indexer/media/thumbnails.py).
const LEAVES = 8;
// Who only passes over a card on the way elsewhere has not asked to see it.
const DWELL = 80;

// A link to `address` that shows a clip: {title, start, end, thumbnail_url, strip_url, media_url}; `corner`: what stands
// in its corner, if it is not the length of the clip.
export function preview(clip, address, label, corner = seconds(clip.end - clip.start)) {
  const picture = el("img", { src: at(clip.thumbnail_url), alt: "", loading: "lazy", decoding: "async" });
  const time = el("span", { className: "time" }, corner);
  const link = el("a", { className: "screen", href: address, ariaLabel: label }, picture, time);
  let timer = 0;
  let moving = null;

  const begin = () => {
    if (still.matches || moving) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      moving = motion(clip);
      link.classList.add("playing");
      picture.after(...moving.nodes);
      moving.play();
    }, DWELL);
  };
  const end = () => {
    clearTimeout(timer);
    link.classList.remove("playing");
    moving?.stop();
    moving = null;
  };
  link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && begin());
  link.addEventListener("pointerleave", () => link.matches(":focus-visible") || end());
  link.addEventListener("focus", () => link.matches(":focus-visible") && begin());
  link.addEventListener("blur", end);
  return link;
}

function motion({ start, end, media_url: mediaUrl, strip_url: stripUrl }) {
  const strip = leafing(at(stripUrl));
  const video = el("video", { muted: true, playsInline: true, preload: "auto", tabIndex: -1 });
  // The fragment lets the first request ask for the right part of the file.
  video.src = `${at(mediaUrl)}#t=${start}`;
  // The clip may be a part of its file: it is repeated within its times.
  const again = () => {
    video.currentTime = start;
    play(video);
  };
  video.addEventListener("timeupdate", () => video.currentTime >= end - 0.02 && again());
  video.addEventListener("ended", again);
  video.addEventListener("playing", () => video.classList.add("on"));
  return {
    nodes: [strip, video],
    // Where the browser cannot play the file, the strip goes on.
    play: () => play(video),
    stop: () => {
      video.pause();
      // Else the browser goes on loading what nobody sees.
      video.removeAttribute("src");
      video.load();
      video.remove();
      strip.remove();
    },
  };
}

function leafing(url) {
  const strip = el("span", { className: "strip" });
  const image = new Image();
  image.addEventListener("load", () => {
    const ratio = image.naturalWidth / LEAVES / image.naturalHeight;
    strip.style.aspectRatio = ratio;
    // As large as the screen, which is 4 to 3, allows.
    strip.style[ratio > 4 / 3 ? "width" : "height"] = "100%";
    strip.style.backgroundImage = `url("${image.src}")`;
  });
  image.src = url;
  return strip;
}
