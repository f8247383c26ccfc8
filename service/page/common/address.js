// What is asked for is the address, so that every answer can be shared, and Back leads to the one before.
//
//   ?q=TEXT            clips for a sentence             ?like=CLIP   clips like a clip
//   ?clip=CLIP         captions for a clip              ?tab=captions|library
//   &w=entity=2        weights that are not the model's &show=CLIP   the viewer is open
//   &video=1,2&tag=a,b&from=3&to=9&min=0.2              filters
//   &title=TEXT        only videos with this title, in the library

import { HOME } from "./dom.js";
import { isLevel } from "./levels.js";

const id = (text) => (/^[1-9]\d{0,15}$/.test(text ?? "") ? Number(text) : null);
const number = (text) => (text === null || text === "" || !Number.isFinite(Number(text)) ? null : Number(text));
const atLeastNought = (text) => (number(text) >= 0 ? number(text) : null);

// The state of an address. What cannot be understood is left out.
export function parse(search) {
  const given = new URLSearchParams(search);
  const state = {
    q: given.get("q")?.trim() || null,
    like: id(given.get("like")),
    clip: id(given.get("clip")),
    show: id(given.get("show")),
    weights: weightsOf(given.get("w") ?? ""),
    videos: (given.get("video") ?? "").split(",").map(id).filter((video) => video !== null),
    tags: tagsOf(given.get("tag") ?? ""),
    title: given.get("title")?.trim() || null,
    from: atLeastNought(given.get("from")),
    to: atLeastNought(given.get("to")),
    min: number(given.get("min")),
  };
  const tab = given.get("tab");
  state.tab = state.clip !== null || tab === "captions" ? "captions" : tab === "library" ? "library" : "clips";
  return state;
}

// As the service writes tags (indexer/search/filters.py).
function tagsOf(text) {
  const tags = text.split(",").map((tag) => tag.trim().replace(/\s+/g, " ").toLowerCase());
  return [...new Set(tags)].filter((tag) => /[\p{L}\p{N}]/u.test(tag));
}

function weightsOf(text) {
  const pairs = text.split(",").map((pair) => pair.split("="));
  return Object.fromEntries(
    pairs
      .filter(([level, weight]) => isLevel(level) && atLeastNought(weight ?? null) !== null)
      .map(([level, weight]) => [level, Number(weight)]),
  );
}

// The address of a state; what is not given is left out.
export function href({ tab = "clips", q = null, like = null, clip = null, show = null, ...tuned }) {
  const { weights = {}, videos = [], tags = [], from = null, to = null, min = null, title = null } = tuned;
  const parts = new URLSearchParams();
  const put = (name, value) => value !== null && value !== "" && parts.set(name, value);
  if (tab === "clips") {
    put("q", q);
    put("like", like);
  } else if (clip === null) put("tab", tab);
  else put("clip", clip);
  put("w", Object.entries(weights).map(([level, weight]) => `${level}=${weight}`).join(","));
  put("video", videos.join(","));
  put("tag", tags.join(","));
  put("from", from);
  put("to", to);
  put("min", min);
  if (tab === "library") put("title", title);
  put("show", show);
  return parts.size ? `${HOME}?${parts}` : HOME;
}

// What the hits are for, however they are weighed and filtered.
const subjectOf = ({ tab = "clips", q = null, like = null, clip = null }) => JSON.stringify([tab, q, like, clip]);

let changed = () => {};
// While something is being typed or moved, one entry of the history is rewritten, not a hundred made.
let settled = true;

export const asked = () => parse(location.search);

export const settle = () => (settled = true);

// How far down a list somebody went is no part of what is asked for: the entry of the history holds it, so that a
// slider, Back and loading again leave the list as long as it was, and a shared address begins at the top.
export const depth = () => history.state?.depth ?? 0;

export const deepen = (to) => history.replaceState({ ...history.state, depth: to }, "");

// Go to a state. `live`: more of the same is likely to follow; `delay`: milliseconds to wait for it.
export function go(state, { live = false, replace = false, delay = 0 } = {}) {
  const address = href(state);
  if (address !== location.pathname + location.search) {
    const before = asked();
    const entry = { ...history.state, depth: subjectOf(state) === subjectOf(before) ? depth() : 0 };
    if (replace || (live && !settled)) history.replaceState(entry, "", address);
    else history.pushState({ ...entry, opened: state.show != null && before.show === null }, "", address);
  }
  settled = !live;
  changed(asked(), { delay });
}

// Leave the viewer: back to where it was opened, if that was here.
export function closeViewer() {
  if (history.state?.opened) history.back();
  else go({ ...asked(), show: null }, { replace: true });
}

// Links within the page change the state; with a modifier they open a tab, as links do.
export function listen(callback) {
  changed = callback;
  addEventListener("popstate", () => {
    settled = true;
    changed(asked(), { delay: 0 });
  });
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.pathname !== HOME) return;
    if (link.hash) return;
    event.preventDefault();
    const next = parse(link.search);
    go(next);
    if (next.show === null) scrollTo(0, 0);
  });
}
