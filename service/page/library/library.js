// What the library holds: its videos with their clips, and the files that were refused. Adding is in a drawer.

import * as api from "../common/api.js";
import { byId, el } from "../common/dom.js";
import { busy, command, message, say, show } from "../common/messages.js";
import { paged } from "../common/paged_list.js";
import { t } from "../common/words.js";
import { failureItem } from "./failure.js";
import { drawerOf } from "./drawer.js";
import { selectionBar } from "./selection.js";
import { Videos } from "./videos.js";

const FAILURES = 5;

let videos = null;
// The way to add videos; null where the service takes none.
let drawer = null;

// Only the videos that an address names, in its order; the rest of the library stays as it is.
export function find(state, { delay }) {
  if (videos?.node.isConnected) videos.find(state, delay);
}

// Files that were dropped; returns whether the library takes them.
export function take(files) {
  if (!drawer?.takesFiles) return false;
  drawer.open();
  drawer.send([...files]);
  return true;
}

export async function answer(state, signal) {
  busy(true);
  const { counts } = await api.library(signal);
  const refresh = () => answer(state, signal).catch((error) => error.name === "AbortError" || say(error.message));
  if (drawer?.signal !== signal) drawer = await drawerOf(refresh, signal);
  const selection = selectionBar(refresh);
  videos = new Videos(selection, signal);
  const parts = await Promise.all([films(state, counts), failureList(counts, signal)]);
  if (signal.aborted) return;
  const title = el("h1", { className: "hidden" }, t("tab.library"));
  if (drawer) videos.bar.append(drawer.button);
  show(el("div", { className: "library" }, title, ...parts.filter(Boolean)));
  byId("read").replaceChildren();
  const held = [t("count.videos", { n: counts.videos }), t("count.clips", { n: counts.clips }), t("count.captions", { n: counts.captions })];
  if (counts.failures) held.push(t("count.refused", { n: counts.failures }));
  say(held.join(", "));
  busy(false);
}

const section = (title, ...parts) => el("section", { ariaLabel: title }, el("h2", {}, title), ...parts);

async function films(state, counts) {
  if (counts.videos) {
    await videos.list(state);
    return videos.node;
  }
  const lines = [drawer ? t("library.empty.add") : t("results.empty.detail"), command("quartet index PATHS --library DIR")];
  return message(t("library.empty"), lines, ...(drawer ? [drawer.button] : []));
}

async function failureList(counts, signal) {
  if (!counts.failures) return null;
  const load = (offset) => api.failures(offset, FAILURES, signal);
  const list = await paged({ load, draw: failureItem, className: "failures", label: t("library.refused") });
  return section(t("library.refused"), el("p", { className: "soft" }, t("library.refused.detail")), list);
}
