// Captions for a clip of the library, or for a video that was dropped. A dropped video is not part of the address: it
// is on this machine only.

import { deepen, go } from "../common/address.js";
import * as api from "../common/api.js";
import { byId } from "../common/dom.js";
import { button, command, message } from "../common/messages.js";
import { NO_FILTERS } from "../common/state.js";
import { t } from "../common/words.js";
import { CaptionList } from "./caption_list.js";
import { Ranking } from "./ranking.js";
import { showFile, showStored } from "./subject.js";

const SIZE = 10;

const ranking = new Ranking(() => new CaptionList(), "captions", SIZE);

export const rankingOf = () => ranking;

let file = null;

export const asks = (state) => state.clip !== null || file !== null;

export const shareable = (state) => state.clip !== null;

export const titleOf = (state) => (state.clip === null ? (file?.name ?? t("tab.describe")) : t("subject.captions"));

export async function answer(state, signal) {
  const { min } = state.filters;
  const tuned = { weights: state.weights, ...(min !== null && { min_score: min }) };
  const empty = () => nothing(state);
  if (state.clip !== null) {
    const page = (wanted, until) => api.captionsOfClip(state.clip, { ...wanted, ...tuned }, until);
    await Promise.all([showStored(state.clip, signal), ranking.ask({ page, state, empty }, signal)]);
    return;
  }
  const chosen = file;
  showFile(chosen);
  const page = (wanted, until) => api.captionsOfFile(chosen, { ...wanted, ...tuned }, until);
  await ranking.ask({ page, state, empty }, signal);
}

function nothing(state) {
  if (state.filters.min !== null) {
    const clear = button(t("filters.clear"), () => go({ ...state, filters: NO_FILTERS }), "primary");
    return message(t("captions.filtered"), [t("captions.filtered.detail")], clear);
  }
  const add = command("quartet captions add FILE --library DIR");
  return message(t("captions.none"), [t("results.empty.detail"), add]);
}

let begin = () => {};

// `again()` is called when the video is another one but the address stays the same.
export function listen(again) {
  begin = again;
  byId("file").addEventListener("change", (event) => {
    if (event.target.files[0]) describe(event.target.files[0]);
    // Else choosing the same file again would be no change.
    event.target.value = "";
  });
}

export function describe(chosen) {
  file = chosen;
  ranking.forget();
  begin();
  deepen(0);
  go({ tab: "captions" });
}
