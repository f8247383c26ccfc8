// Plays one moment of a video: it stops at the end of the moment, or goes on if that is chosen. A file that the browser
// cannot play is leafed through until the service has made the moment playable.

import * as api from "../common/api.js";
import { at, clock, el, play, still } from "../common/dom.js";
import { set, setting } from "../common/settings.js";
import { t } from "../common/words.js";

// `from`: the second to begin at; `onTime(second)` gets its time. Gives {node, seek, stop}.
export function player(clip, from, onTime) {
  const video = el("video", { controls: true, playsInline: true, preload: "auto", poster: at(clip.thumbnail_url) });
  video.ariaLabel = clip.title;
  video.src = `${at(clip.media_url)}#t=${from}`;
  video.autoplay = !still.matches;
  // Sound that nobody asked for is rude, and browsers forbid it.
  video.muted = true;
  // Seconds of the video at which what is played begins: a moment that was made playable begins at its own start.
  let offset = 0;
  const now = () => video.currentTime + offset;
  const goesOn = el("input", { type: "checkbox", checked: setting("goOn") === true });
  goesOn.addEventListener("change", () => set("goOn", goesOn.checked));
  const again = el("button", { type: "button", className: "action" }, t("viewer.again"));
  // Only once: who plays on after the end wants to see more.
  let watching = true;
  const seek = (second) => {
    watching = second < clip.end;
    video.currentTime = Math.max(0, second - offset);
    play(video);
  };
  again.addEventListener("click", () => seek(clip.start));
  video.addEventListener("timeupdate", () => {
    onTime(now());
    if (!watching || goesOn.checked || video.seeking || now() < clip.end - 0.02) return;
    watching = false;
    video.pause();
  });
  video.addEventListener("seeked", () => (watching = now() < clip.end - 0.05));
  const strip = el("div", { className: "strip-of-clip" });
  strip.style.backgroundImage = `url("${at(clip.strip_url)}")`;
  const state = el("p", { className: "unplayable", role: "alert", hidden: true });
  const stage = el("div", { className: "screen-of-player" }, video, strip, state);
  const making = new AbortController();
  const say = (text) => {
    state.textContent = text;
    state.hidden = text === "";
    stage.classList.toggle("still", text !== "");
  };
  let url = null;
  const makePlayable = async () => {
    say(t("viewer.preparing"));
    try {
      url = await api.proxyOf(clip.clip_id, making.signal);
      offset = clip.start;
      video.src = `${url}#t=${Math.max(0, from - offset)}`;
      say("");
      if (!still.matches) play(video);
    } catch (error) {
      if (error.name !== "AbortError") say(t("viewer.unplayable"));
    }
  };
  video.addEventListener("error", () => {
    if (!video.error) return;
    if (url === null) makePlayable();
    else say(t("viewer.unplayable"));
  });
  const span = el("span", {}, t("viewer.span", { from: clock(clip.start), to: clock(clip.end) }));
  const bar = el("div", { className: "player-bar" }, again, el("label", {}, goesOn, t("viewer.goOn")), span);
  const stop = () => {
    making.abort();
    video.pause();
    // Else the browser goes on loading what nobody sees.
    video.removeAttribute("src");
    video.load();
    if (url) URL.revokeObjectURL(url);
  };
  return { node: el("div", {}, stage, bar), seek, stop };
}
