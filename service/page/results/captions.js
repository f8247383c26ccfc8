// Captions for a clip of the library, or for a video that was dropped. A dropped video is not part of the address: it
// is on this machine only.

import { deepen, go } from "../common/address.js";
import * as api from "../common/api.js";
import { byId } from "../common/dom.js";
import { button, command, message } from "../common/messages.js";
import { NONE, toRequest } from "../tuning/filters.js";
import { captionCards } from "./cards.js";
import { Ranking } from "./ranking.js";
import { showFile, showStored } from "./subject.js";

const SIZE = 10;

export const ranking = new Ranking(captionCards, "caption", SIZE);

let file = null;

export const asks = (state) => state.clip !== null || file !== null;

export const shareable = (state) => state.clip !== null;

export const titleOf = (state) => (state.clip === null ? (file?.name ?? "Describe a video") : "Captions for a clip");

export async function answer(state, signal) {
  const { min_score: least } = toRequest(state);
  const tuned = { weights: state.weights, ...(least !== undefined && { min_score: least }) };
  const empty = () => nothing(state);
  if (state.clip !== null) {
    const page = (wanted, until) => api.captionsOfClip(state.clip, { ...wanted, ...tuned }, until);
    await Promise.all([showStored(state.clip, "Captions for", signal), ranking.ask({ page, empty }, signal)]);
    return;
  }
  const chosen = file;
  showFile(chosen);
  const page = (wanted, until) => api.captionsOfFile(chosen, { ...wanted, ...tuned }, until);
  await ranking.ask({ page, empty }, signal);
}

function nothing(state) {
  if (state.min !== null) {
    const clear = button("Clear filters", () => go({ ...state, ...NONE }));
    return message("No caption reaches this score", ["Lower it, or see them all."], clear);
  }
  const add = command("quartet captions add FILE --library DIR");
  return message("This library has no captions", ["Add some with:", add]);
}

// `again()` is called when the video is another one but the address stays the same.
export function listen(again) {
  const choose = (chosen) => {
    if (!chosen) return;
    file = chosen;
    ranking.forget();
    again();
    deepen(0);
    go({ tab: "captions" });
  };
  byId("file").addEventListener("change", (event) => {
    choose(event.target.files[0]);
    // Else choosing the same file again would be no change.
    event.target.value = "";
  });
  // A video may be dropped anywhere, except where the library takes it to be indexed.
  const drop = byId("drop");
  const carries = (event) => event.dataTransfer?.types.includes("Files") && !event.target.closest?.(".takes-files");
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
    drop.classList.add("over");
  });
  const leave = () => {
    document.body.classList.remove("dropping");
    drop.classList.remove("over");
  };
  addEventListener("dragleave", (event) => event.relatedTarget === null && leave());
  addEventListener("drop", (event) => {
    leave();
    if (!carries(event)) return;
    event.preventDefault();
    choose(event.dataTransfer.files[0]);
  });
}
