// What is asked for is the address (state.js), so that every answer can be shared, and Back leads to the one before.

import { HOME } from "./dom.js";
import { href, parse, subjectOf } from "./state.js";

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
    const entry = { ...history.state, depth: subjectOf(parse(address.slice(HOME.length))) === subjectOf(before) ? depth() : 0 };
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
    if (link.hash || link.hasAttribute("download")) return;
    event.preventDefault();
    const next = parse(link.search);
    go(next);
    if (next.show === null) scrollTo(0, 0);
  });
}
