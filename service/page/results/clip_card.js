// A hit in the grid: a picture that plays, its time, one bar of all levels with the score, and what to do with it.

import { at, clock, el, icon, seconds } from "../common/dom.js";
import { longestStack, makeStack } from "../common/levels.js";
import { preview } from "../common/preview.js";
import { href } from "../common/state.js";
import { t } from "../common/words.js";
import { describes } from "./details.js";
import { quotation } from "./line.js";

// What a list of hits has in common: `state` that was asked for, the answer's words, and the longest bar.
export const contextOf = (answer, state) => ({ state, answer, longest: longestStack(answer.hits) });

export function clipCard(hit) {
  const name = `${hit.title}, ${clock(hit.start)}`;
  const screen = preview(hit, "", t("hit.open", { title: hit.title, time: clock(hit.start) }), cornerOf(hit));
  const alike = el("span", { className: "alike" });
  const score = el("span", { className: "score" });
  const title = el("span", { className: "title" }, hit.title);
  const stack = makeStack();
  const told = el("div", { className: "line-of-hit" });
  const about = el("div", { className: "about" }, el("div", { className: "head" }, title, score), stack.node, told);
  const actions = el("div", { className: "quick" });
  const node = el("li", { className: "card", data: { id: hit.clip_id } }, screen, alike, actions, about);
  let now = hit;
  let context = null;
  const update = (next, given) => {
    [now, context] = [next, given];
    screen.href = href({ ...given.state, show: hit.clip_id });
    score.textContent = next.score.toFixed(2);
    stack.update(next.levels, given.longest);
    told.replaceChildren(...[quotation(next, true)].filter(Boolean));
    alike.hidden = next.alike.length === 0;
    alike.textContent = `+${next.alike.length}`;
    alike.title = t("hit.alike", { n: next.alike.length });
    actions.replaceChildren(...reactions(hit.clip_id, name, given.state));
    if (next.moments.length > 1) showMoments(screen, next.moments);
  };
  describes(node, screen, () => ({ hit: now, ...context }));
  return { node, update };
}

// Where it begins; how long it is, if it begins its video.
const cornerOf = ({ start, end }) => (start > 0 ? clock(start) : seconds(end - start));

// Pictures of all moments, side by side.
function showMoments(screen, moments) {
  const pictures = moments.map(({ thumbnail_url: url }) => el("img", { src: at(url), alt: "", decoding: "async" }));
  screen.querySelector(".moments")?.remove();
  screen.querySelector("img").after(el("span", { className: "moments" }, ...pictures));
}

// What makes the question another one: more like a hit, less like it, and the captions of it.
function reactions(clip, name, state) {
  return [
    quick("plus", t("hit.more", { title: name }), react(state, "more", clip)),
    quick("minus", t("hit.less", { title: name }), react(state, "less", clip)),
    quick("text", t("hit.captions", { title: name }), { tab: "captions", clip }),
  ];
}

function quick(symbol, label, state) {
  return el("a", { className: "icon", href: href(state), ariaLabel: label, title: label }, icon(symbol));
}

// The question with a reaction to a clip, in place of an earlier one.
export function react(state, role, clip) {
  const others = state.parts.filter((part) => !(["more", "less"].includes(part.role) && part.value === clip));
  return { ...state, tab: "clips", clip: null, show: null, parts: [...others, { role, value: clip }] };
}

export function action(symbol, text, label, state) {
  return el("a", { className: "action", href: href(state), ariaLabel: label }, icon(symbol), text);
}
