// What stands below the question: clips, captions, a message, or the outline of what is to come.

import { byId, el } from "./dom.js";
import { bars, chips, longestBar } from "./levels.js";
import { screen } from "./screen.js";

const show = (...nodes) => byId("results").replaceChildren(...nodes);

const score = (hit) => el("span", { className: "score", title: "Score: the sum of the four bars" }, hit.score.toFixed(3));

export function clear() {
  show();
  say("");
  byId("results").ariaBusy = "false";
}

export function say(text) {
  byId("summary").textContent = text;
}

export function clips(hits, describe) {
  const longest = longestBar(hits);
  const cards = hits.map((hit) => {
    const button = el("button", { type: "button", className: "describe" }, "Describe this clip");
    button.addEventListener("click", () => describe(hit.clip_id));
    const picture = screen({
      title: hit.title,
      mediaUrl: hit.media_url,
      thumbnailUrl: hit.thumbnail_url,
      stripUrl: hit.strip_url,
      start: hit.start,
      end: hit.end,
    });
    const head = el("div", { className: "head" }, el("h2", {}, hit.title), score(hit));
    const about = el("div", { className: "about" }, head, bars(hit.levels, longest), chips(hit.matched), button);
    return el("li", { className: "card" }, picture, about);
  });
  show(el("ol", { className: "grid" }, ...cards));
}

export function captions(hits) {
  const longest = longestBar(hits);
  const cards = hits.map((hit, i) => {
    const rank = el("span", { className: "rank" }, `${i + 1}`);
    const head = el("div", { className: "head" }, rank, el("p", {}, hit.text), score(hit));
    const about = el("div", { className: "about" }, head, bars(hit.levels, longest), chips(hit.matched));
    return el("li", { className: "card" }, about);
  });
  show(el("ol", { className: "sentences" }, ...cards));
}

export function message(title, ...lines) {
  show(el("div", { className: "message" }, el("h2", {}, title), ...lines.map((line) => el("p", {}, line))));
}

export function problem(error) {
  const id = error.requestId ? el("p", {}, el("code", {}, `request ${error.requestId}`)) : null;
  const title = el("h2", {}, error.title ?? "Something went wrong on this page");
  say("");
  show(el("div", { className: "message bad", role: "alert" }, title, el("p", {}, error.message), id));
}

export function waiting(kind) {
  const line = () => el("div", { className: "line" });
  const card = () =>
    el(
      "li",
      { className: "card waiting" },
      kind === "grid" ? el("div", { className: "screen" }) : null,
      el("div", { className: "about" }, line(), line(), line()),
    );
  show(el("ol", { className: kind, ariaHidden: "true" }, ...Array.from({ length: 4 }, card)));
}
