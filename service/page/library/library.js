// What the library holds: its videos with their clips, the files that were refused, and the way to add more.

import * as api from "../common/api.js";
import { byId, count, el } from "../common/dom.js";
import { busy, command, message, say, show } from "../common/messages.js";
import { paged } from "../common/paged_list.js";
import { failureItem } from "./failure.js";
import { showJobs } from "./jobs.js";
import { videoList } from "./videos.js";

export { find } from "./videos.js";

const FAILURES = 5;

export const asks = () => true;

export const titleOf = () => "Library";

export async function answer(state, signal) {
  busy(true);
  const { counts, generation } = await api.library(signal);
  const refresh = () => answer(state, signal).catch((error) => error.name === "AbortError" || say(error.message));
  const parts = await Promise.all([addition(refresh, signal), failureList(counts, signal), videos(counts, signal)]);
  if (signal.aborted) return;
  const title = el("h1", { className: "hidden" }, "Library");
  show(el("div", { className: "library" }, title, ...parts.filter(Boolean)));
  byId("read").replaceChildren();
  const refused = counts.failures ? `, ${count(counts.failures, "refused file")}` : "";
  const held = [count(counts.videos, "video"), count(counts.clips, "clip"), count(counts.captions, "caption")];
  say(`${held.join(", ")}${refused}. Generation ${generation}.`);
  busy(false);
}

const section = (title, ...parts) => el("section", { ariaLabel: title }, el("h2", {}, title), ...parts);

// The panel outlives what is shown after a job, so that its progress is not drawn anew.
let panel = null;

async function addition(refresh, signal) {
  if (panel?.signal !== signal) panel = { signal, node: await showJobs(refresh, signal) };
  return panel.node;
}

async function videos(counts, signal) {
  if (counts.videos) return section("Videos", ...(await videoList(signal)));
  const add = command("quartet index PATHS --library DIR");
  return section("Videos", message("No videos yet", ["Add some above, or with:", add]));
}

async function failureList(counts, signal) {
  if (!counts.failures) return null;
  const load = (offset) => api.failures(offset, FAILURES, signal);
  const list = await paged({ load, draw: failureItem, className: "failures", label: "Refused files" });
  return section("Refused files", el("p", { className: "soft" }, "Each is tried again when it has changed."), list);
}
