// The page: its state is the address (?q=, ?clip=, &w=), so that every answer can be shared.

import * as api from "./api.js";
import { byId, count, el } from "./dom.js";
import { Weights } from "./levels.js";
import * as results from "./results.js";
import { screen } from "./screen.js";

const K_CLIPS = 12;
const K_CAPTIONS = 10;

const weights = new Weights(() => go(asked()));
let running = new AbortController();
let file = null;
let lastQuery = null;

// What is asked for: {q} or {clip} or {tab: "captions"} or nothing; with `file`, the chosen video.
function asked() {
  const parameters = new URLSearchParams(location.search);
  return { q: parameters.get("q"), clip: parameters.get("clip"), tab: parameters.get("tab") };
}

function go({ q = null, clip = null, tab = null }) {
  const parameters = new URLSearchParams();
  if (q !== null) parameters.set("q", q);
  if (clip !== null) parameters.set("clip", clip);
  if (tab !== null) parameters.set("tab", tab);
  const w = weights.write();
  if (w) parameters.set("w", w);
  const address = parameters.size ? `?${parameters}` : "/";
  if (address !== (location.search || "/")) history.pushState(null, "", address);
  return answer();
}

async function answer() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const { q, clip, tab } = asked();
  const captions = clip !== null || tab === "captions";
  selectTab(captions ? "captions" : "clips");
  // Without a query the box keeps what is being typed.
  if (q !== null) byId("query").value = lastQuery = q;
  document.title = q ? `${q} · Quartet` : "Quartet";
  const working = q !== null || clip !== null || (captions && file !== null);
  document.body.classList.toggle("answered", working);
  document.body.classList.remove("failed");
  results.clear();
  byId("subject").hidden = clip === null && file === null;
  if (!working) return;
  try {
    byId("results").ariaBusy = "true";
    results.say("Searching…");
    if (q !== null && !captions) await answerClips(q, signal);
    else if (clip !== null) await answerStored(clip, signal);
    else await answerFile(signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    document.body.classList.replace("answered", "failed");
    results.problem(error);
  }
  if (!signal.aborted) byId("results").ariaBusy = "false";
}

async function answerClips(query, signal) {
  results.waiting("grid");
  const found = await api.searchClips(query, K_CLIPS, weights.get(), signal);
  if (!found.hits.length) {
    results.say("");
    results.message("This library has no clips yet", "Add some with: quartet index PATHS --library DIR");
    return;
  }
  results.clips(found.hits, (clipId) => go({ clip: String(clipId) }));
  results.say(told(found, count(found.hits.length, "clip")));
}

async function answerStored(clipId, signal) {
  results.waiting("sentences");
  const clip = await api.clip(clipId, signal);
  document.title = `${clip.title} · Quartet`;
  const { title, media_url: mediaUrl, thumbnail_url: thumbnailUrl, strip_url: stripUrl, start, end } = clip;
  const own = clip.captions[0] ? `Its own caption: “${clip.captions[0].text}”` : "It came without a caption.";
  showSubject(title, own, { title, mediaUrl, thumbnailUrl, stripUrl, start, end });
  showCaptions(await api.captionsOfClip(clip.clip_id, K_CAPTIONS, weights.get(), signal));
}

async function answerFile(signal) {
  results.waiting("sentences");
  showSubject(file.name, `${(file.size / 2 ** 20).toFixed(1)} MiB`, { title: file.name, mediaUrl: fileUrl() });
  showCaptions(await api.captionsOfFile(file, K_CAPTIONS, weights.get(), signal));
}

function showCaptions(found) {
  if (!found.hits.length) {
    results.say("");
    results.message("This library has no captions", "Add some with: quartet captions add FILE --library DIR");
    return;
  }
  results.captions(found.hits);
  results.say(told(found, count(found.hits.length, "caption")));
}

function showSubject(title, line, shown) {
  const about = el("div", {}, el("h2", {}, title), el("p", {}, line));
  byId("subject").replaceChildren(screen(shown), about);
}

function told({ exact, took_ms: took }, what) {
  const total = took.encode + took.search + took.hydrate;
  return `Best ${what} in ${total.toFixed(0)} ms, ${exact ? "exact" : "approximate"}`;
}

let url = null;
function fileUrl() {
  if (url) URL.revokeObjectURL(url);
  url = URL.createObjectURL(file);
  return url;
}

function choose(chosen) {
  if (!chosen) return;
  file = chosen;
  go({ tab: "captions" });
}

function selectTab(name) {
  for (const tab of ["clips", "captions"]) {
    const selected = tab === name;
    byId(`tab-${tab}`).ariaSelected = String(selected);
    byId(`tab-${tab}`).tabIndex = selected ? 0 : -1;
    byId(`panel-${tab}`).hidden = !selected;
  }
}

function listen() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("query").blur();
    go({ q: byId("query").value.trim() });
  });
  byId("tab-clips").addEventListener("click", () => go({ q: lastQuery }));
  byId("tab-captions").addEventListener("click", () => go({ tab: "captions" }));
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = byId(byId("tab-clips").ariaSelected === "true" ? "tab-captions" : "tab-clips");
    other.click();
    other.focus();
  });
  byId("file").addEventListener("change", (event) => {
    choose(event.target.files[0]);
    // Else choosing the same file again would be no change.
    event.target.value = "";
  });
  const drop = byId("drop");
  for (const type of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", type === "dragover");
      if (type === "drop") choose(event.dataTransfer.files[0]);
    });
  }
  addEventListener("popstate", start);
}

async function showLibrary() {
  const { counts, model, levels, examples } = await api.library();
  byId("library").textContent = `${count(counts.clips, "clip")} · ${count(counts.captions, "caption")}`;
  byId("note").textContent = `Model: ${model.name}. ${model.note}`;
  weights.use(levels);
  byId("examples").replaceChildren(
    ...examples.map((text) => {
      const button = el("button", { type: "button" }, text);
      button.addEventListener("click", () => go({ q: text }));
      return el("li", {}, button);
    }),
  );
}

function start() {
  weights.read(new URLSearchParams(location.search).get("w") ?? "");
  return answer();
}

listen();
start();
showLibrary().catch(results.problem);
