// The page: puts the parts together. Its state is the address (address.js).

import { asked, go, href, listen as listenToAddress, settle } from "./common/address.js";
import * as api from "./common/api.js";
import { byId, count, el } from "./common/dom.js";
import { listen as listenToKeys } from "./common/keyboard.js";
import { levelNames, setLevels } from "./common/levels.js";
import { busy, button, message, problem, say, show } from "./common/messages.js";
import * as library from "./library/library.js";
import * as captions from "./results/captions.js";
import * as clips from "./results/clips.js";
import * as subject from "./results/subject.js";
import * as viewer from "./results/viewer.js";
import { Filters, filtersIn } from "./tuning/filters.js";
import { Weights } from "./tuning/weights.js";

// Milliseconds without another letter, or another step of a slider, after which the service is asked.
const TYPING = 220;
const SLIDING = 60;

const views = { clips, captions, library };

const weights = new Weights({
  moved: (moved) => {
    views[asked().tab].ranking?.preview(weights.all());
    go({ ...asked(), weights: moved }, { live: true, delay: SLIDING });
  },
  rested: settle,
});
const filters = new Filters((patch) => go({ ...asked(), ...patch }, { live: true, delay: TYPING }));

let running = new AbortController();
let timer = 0;
let answered = null;
let started = null;

function render(state, { delay }) {
  const view = views[state.tab];
  const asks = view.asks(state);
  frame(state, asks);
  const key = href({ ...state, show: null, title: null });
  if (key !== answered) {
    running.abort();
    running = new AbortController();
    clearTimeout(timer);
    answered = key;
    const { signal } = running;
    if (!asks) clear();
    else if (delay) timer = setTimeout(() => answer(view, state, signal), delay);
    else answer(view, state, signal);
  }
  look(state);
  view.find?.(state, { delay });
}

// The viewer, as the address says.
function look({ show, tab }) {
  if (show === null) viewer.hide();
  else viewer.show(show, tab === "clips" ? clips.ranking : null);
}

// All but the results.
function frame(state, asks) {
  document.body.dataset.tab = state.tab;
  document.body.classList.toggle("answered", asks);
  for (const link of document.querySelectorAll(".tabs a")) {
    link.ariaCurrent = link.dataset.tab === state.tab ? "page" : null;
  }
  for (const tab of ["clips", "captions"]) byId(`ask-${tab}`).hidden = tab !== state.tab;
  byId("tune").hidden = !asks || state.tab === "library";
  const tuned = Object.keys(state.weights).length + filtersIn(state);
  byId("tuned").hidden = tuned === 0;
  byId("tuned").textContent = tuned;
  byId("copy").hidden = !asks || state.tab === "library" || view(state).shareable?.(state) === false;
  document.title = asks ? `${view(state).titleOf(state)} · Quartet` : "Quartet";
  // The blanks of what is being typed are left alone.
  if (state.tab === "clips" && byId("query").value.trim() !== (state.q ?? "")) byId("query").value = state.q ?? "";
  // Filters that are on stay on.
  for (const link of byId("examples").querySelectorAll("a")) link.href = example(link.textContent, state);
  weights.set(state.weights);
  filters.set(state, { places: state.tab === "clips" });
}

const view = (state) => views[state.tab];

const example = (text, state) => href({ ...state, q: text, like: null, show: null });

function clear() {
  show();
  say("");
  busy(false);
  byId("read").replaceChildren();
  subject.clear();
}

async function answer(view, given, signal) {
  let state = given;
  // Which levels an address may weigh, the library says.
  if (Object.keys(state.weights).length && !levelNames().length) {
    await started;
    if (signal.aborted) return;
    state = asked();
  }
  if (state.q !== null || state.tab === "library") subject.clear();
  if (state.q === null) byId("read").replaceChildren();
  const held = document.activeElement;
  if (view.ranking && !weights.any()) {
    view.ranking.forget();
    busy(false);
    say("All weights are 0");
    const reset = button("Reset weights", () => go({ ...asked(), weights: {} }));
    show(message("All weights are 0", ["Move one up: it is by them that hits are ranked."], reset));
    return;
  }
  try {
    await view.answer(state, signal);
    if (signal.aborted) return;
    look(asked());
    // A link that led here may have gone with the results before: the keyboard goes on from the new ones.
    if (held !== document.body && !held.isConnected) byId("results").focus({ preventScroll: true });
  } catch (error) {
    if (signal.aborted) return;
    busy(false);
    say("");
    byId("read").replaceChildren();
    byId("copy").hidden = true;
    view.ranking?.forget();
    // The same question may be asked again.
    answered = null;
    show(problem(error, () => render(asked(), { delay: 0 })));
  }
}

function listen() {
  const query = byId("query");
  const typed = () => ({ ...asked(), tab: "clips", q: query.value.trim() || null, like: null, show: null });
  const type = () => go(typed(), { live: true, delay: TYPING });
  query.addEventListener("input", (event) => event.isComposing || type());
  query.addEventListener("compositionend", type);
  query.addEventListener("change", settle);
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    answered = null;
    go(typed());
    // On a phone the keyboard would cover the results.
    if (matchMedia("(hover: none)").matches) query.blur();
  });
  byId("tune-form").addEventListener("submit", (event) => event.preventDefault());
  byId("tune-form").addEventListener("change", settle);
  byId("copy").addEventListener("click", copy);
  const wide = matchMedia("(min-width: 60rem)");
  const open = () => (byId("tuning").open = wide.matches);
  wide.addEventListener("change", open);
  open();
  captions.listen(() => (answered = null));
  viewer.listen();
  listenToKeys();
  listenToAddress(render);
}

async function copy() {
  const label = byId("copy").querySelector("span");
  // Without HTTPS, browsers keep the clipboard to themselves.
  const done = await (navigator.clipboard?.writeText(location.href) ?? Promise.reject()).then(
    () => "Copied",
    () => "Copy it from the address bar",
  );
  label.textContent = done;
  setTimeout(() => (label.textContent = "Copy link"), 2000);
}

async function showLibrary() {
  byId("note").replaceChildren();
  const { counts, model, levels, examples } = await api.library();
  const held = `${count(counts.clips, "clip")} of ${count(counts.videos, "video")}`;
  byId("library").textContent = `${held} · ${count(counts.captions, "caption")}`;
  byId("note").replaceChildren(el("p", {}, `Model: ${model.name}. ${model.note}`));
  setLevels(levels);
  weights.use(levels);
  byId("legend").replaceChildren(
    ...levels.map(({ name, meaning }) => el("div", { data: { level: name } }, el("dt", {}, name), el("dd", {}, meaning))),
  );
  byId("examples").replaceChildren(
    ...examples.map((text) => el("li", {}, el("a", { href: example(text, asked()) }, text))),
  );
}

// Without a search there is nowhere else to say that the service does not answer.
function start() {
  const failed = (error) => {
    const told = el("p", { role: "alert" }, `${error.title ?? "Something went wrong"}. ${error.message}`);
    byId("note").replaceChildren(told, button("Try again", start));
  };
  started = showLibrary().catch(failed);
}

listen();
start();
// What was typed before this script came is a question too.
if (asked().q === null && asked().tab === "clips" && byId("query").value.trim()) {
  go({ ...asked(), q: byId("query").value.trim() }, { replace: true });
} else render(asked(), { delay: 0 });
// There is but one thing to do on the start page. A phone would cover it with its keyboard.
if (location.search === "" && matchMedia("(hover: hover)").matches) byId("query").focus();
