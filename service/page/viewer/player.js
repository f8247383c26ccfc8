// Plays one moment of a video: it stops at the end of the moment, or goes on if that is chosen.

import { at, clock, el, play, still } from "../common/dom.js";
import { set, setting } from "../common/settings.js";
import { t } from "../common/words.js";

const LEAVES = 8;

// `from`: the second to begin at; `told(second)` hears where the player is. Gives {node, seek, stop}.
export function player(clip, from, told) {
  const video = el("video", { controls: true, playsInline: true, preload: "auto", poster: at(clip.thumbnail_url) });
  video.ariaLabel = clip.title;
  video.src = `${at(clip.media_url)}#t=${from}`;
  video.autoplay = !still.matches;
  // Sound that nobody asked for is rude, and browsers forbid it.
  video.muted = true;
  const goesOn = el("input", { type: "checkbox", checked: setting("goOn") === true });
  goesOn.addEventListener("change", () => set("goOn", goesOn.checked));
  const again = el("button", { type: "button", className: "action" }, t("viewer.again"));
  // Only once: who plays on after the end wants to see more.
  let watching = true;
  const seek = (second) => {
    watching = second < clip.end;
    video.currentTime = second;
    play(video);
  };
  again.addEventListener("click", () => seek(clip.start));
  const look = () => {
    told(video.currentTime);
    if (!watching || goesOn.checked || video.seeking || video.currentTime < clip.end - 0.02) return;
    watching = false;
    video.pause();
  };
  video.addEventListener("timeupdate", look);
  video.addEventListener("seeked", () => (watching = video.currentTime < clip.end - 0.05));
  const unplayable = el("p", { className: "unplayable", role: "alert", hidden: true });
  video.addEventListener("error", () => {
    if (!video.error) return;
    unplayable.textContent = t("viewer.unplayable");
    unplayable.hidden = false;
    stage.classList.add("still");
  });
  const strip = el("div", { className: "strip-of-clip" });
  strip.style.backgroundImage = `url("${at(clip.strip_url)}")`;
  strip.style.setProperty("--leaves", LEAVES);
  const stage = el("div", { className: "screen-of-player" }, video, strip, unplayable);
  const span = el("span", {}, t("viewer.span", { from: clock(clip.start), to: clock(clip.end) }));
  const bar = el("div", { className: "player-bar" }, again, el("label", {}, goesOn, t("viewer.goOn")), span);
  const stop = () => {
    video.pause();
    // Else the browser goes on loading what nobody sees.
    video.removeAttribute("src");
    video.load();
  };
  return { node: el("div", {}, stage, bar), seek, stop };
}
