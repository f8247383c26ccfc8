// Clips for a sentence, and clips like a clip.

import { go } from "../common/address.js";
import * as api from "../common/api.js";
import { HOME, byId, el } from "../common/dom.js";
import { readAs } from "../common/levels.js";
import { button, command, message } from "../common/messages.js";
import { NONE, filtersIn, toRequest } from "../tuning/filters.js";
import { clipCards } from "./cards.js";
import { Ranking } from "./ranking.js";
import { showStored } from "./subject.js";

const SIZE = 24;

export const ranking = new Ranking(clipCards, "clip", SIZE);

export const asks = (state) => state.q !== null || state.like !== null;

export const titleOf = (state) => (state.q === null ? "Clips like a clip" : state.q);

export async function answer(state, signal) {
  const tuned = { weights: state.weights, ...toRequest(state) };
  const context = { state };
  const empty = () => nothing(state);
  if (state.q !== null) {
    const page = (wanted, until) => api.searchClips(state.q, { ...wanted, ...tuned }, until);
    const found = await ranking.ask({ page, context, empty }, signal);
    byId("read").replaceChildren(...readAs(found.query_attributes));
    return;
  }
  const page = (wanted, until) => api.similarClips(state.like, { ...wanted, ...tuned }, until);
  await Promise.all([showStored(state.like, "More like", signal), ranking.ask({ page, context, empty }, signal)]);
}

function nothing(state) {
  if (filtersIn(state)) {
    const clear = button("Clear filters", () => go({ ...state, ...NONE }));
    return message("No clip passes these filters", ["Widen them, or search among all clips."], clear);
  }
  const library = el("a", { className: "ghost", href: `${HOME}?tab=library` }, "See the library");
  if (state.like !== null) return message("There is no other clip", ["This library holds only this one."], library);
  const add = command("quartet index PATHS --library DIR");
  return message("This library has no clips yet", ["Add some with:", add], library);
}
