// Clips for a question, or films with their best moments.

import { go } from "../common/address.js";
import * as api from "../common/api.js";
import { HOME, byId, el } from "../common/dom.js";
import { readAs } from "../common/levels.js";
import { button, command, message } from "../common/messages.js";
import { NO_FILTERS, asksForClips, filtersIn } from "../common/state.js";
import { t } from "../common/words.js";
import { remember } from "../question/recent.js";
import { isSequence, requestOf } from "../question/request.js";
import { FilmList } from "./film_list.js";
import { ClipList } from "./hit_list.js";
import { Ranking } from "./ranking.js";

const CLIPS = 48;
const FILMS = 24;
// Seconds between moments that are offered where nothing follows within fewer.
const LONG_WAIT = 600;

const rankings = {
  clips: new Ranking((reached) => new ClipList(reached), "clips", CLIPS),
  films: new Ranking(() => new FilmList(), "films", FILMS),
};

export const rankingOf = ({ view }) => rankings[view ?? "clips"];

export const asks = asksForClips;

export const titleOf = ({ q, parts }) => q ?? parts.find(({ value }) => typeof value === "string")?.value ?? t("title.parts");

export async function answer(state, signal) {
  const request = requestOf(state);
  const page = (wanted, until) => api.searchClips({ ...request, ...wanted }, until);
  const found = await rankingOf(state).ask({ page, state, empty: () => nothing(state) }, signal);
  byId("read").replaceChildren(...readAs(found.query_attributes));
  remember(state);
}

function nothing(state) {
  if (isSequence(state) && (state.within ?? 0) < LONG_WAIT) {
    const longer = button(t("results.noSequence.longer"), () => go({ ...state, within: LONG_WAIT }), "primary");
    return message(t("results.noSequence"), [t("results.noSequence.detail")], longer);
  }
  if (filtersIn(state.filters)) {
    const clear = button(t("filters.clear"), () => go({ ...state, filters: NO_FILTERS }), "primary");
    return message(t("results.filtered"), [t("results.filtered.detail")], clear);
  }
  const library = el("a", { className: "ghost", href: `${HOME}?tab=library` }, t("library.see"));
  if (state.q === null) return message(t("results.noOther"), [t("results.noOther.detail")], library);
  const add = command("quartet index PATHS --library DIR");
  return message(t("results.empty"), [t("results.empty.detail"), add], library);
}
