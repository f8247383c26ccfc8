// The page: puts the parts together. Its state is the address (common/state.js).

import { asked, go, listen as listenToAddress, settle } from "./common/address.js";
import * as api from "./common/api.js";
import { byId, el } from "./common/dom.js";
import { listen as listenToKeys } from "./common/keyboard.js";
import { levelNames, setLevels } from "./common/levels.js";
import { busy, button, message, problem, say, show } from "./common/messages.js";
import { NO_FILTERS, filtersIn, href } from "./common/state.js";
import { t, translate } from "./common/words.js";
import { addFiles, listen as listenToFiles } from "./question/files.js";
import { chooseLibrary } from "./library_menu.js";
import { listenToMenu } from "./question/add_menu.js";
import { Parts } from "./question/parts.js";
import { hasFile } from "./question/request.js";
import { listen as listenToSaved } from "./question/saved.js";
import { welcome } from "./question/welcome.js";
import * as captions from "./results/captions.js";
import * as clips from "./results/clips.js";
import * as subject from "./results/subject.js";
import { tools } from "./results/tools.js";
import { listen as listenToSettings } from "./settings_menu.js";
import { Filters } from "./tuning/filters.js";
import { Weights } from "./tuning/weights.js";

// Milliseconds without another letter, or another step of a slider, after which the service is asked.
const TYPING = 60;
const SLIDING = 60;

// Who searches need not wait for the library and the viewer: their modules come when they are needed.
const loaded = () => import("./library/library.js");
let viewer = null;
const library = {
  asks: () => true,
  titleOf: () => t("tab.library"),
  answer: async (...given) => (await loaded()).answer(...given),
  find: async (...given) => (await loaded()).find(...given),
};

const views = { clips, captions, library };
const view = (state) => views[state.tab];

const weights = new Weights({
  moved: (moved) => {
    view(asked()).rankingOf?.(asked()).preview(weights.all());
    go({ ...asked(), weights: moved }, { live: true, delay: SLIDING });
  },
  rested: settle,
});
const filters = new Filters((changed) => go({ ...asked(), filters: changed }, { live: true, delay: TYPING }));
const parts = new Parts((patch, { live }) => {
  go({ ...asked(), tab: "clips", show: null, ...patch }, { live, delay: live ? TYPING : 0 });
});

let running = new AbortController();
let timer = 0;
let answered = null;
let started = null;

function render(state, { delay }) {
  const asks = view(state).asks(state);
  frame(state, asks);
  const key = href({ ...state, show: null, ...(state.tab === "library" && { title: null, order: null, filters: NO_FILTERS }) });
  if (key !== answered) {
    running.abort();
    running = new AbortController();
    clearTimeout(timer);
    answered = key;
    const { signal } = running;
    if (!asks) clear();
    else if (delay) timer = setTimeout(() => answer(state, signal), delay);
    else answer(state, signal);
  }
  look({ asks });
  view(state).find?.(state, { delay });
}

// The viewer, as the address says. `asks`: clips are about to be shown, so that one may be opened.
function look({ asks = true } = {}) {
  if (asks || asked().show !== null) viewer ??= import("./viewer/viewer.js");
  viewer?.then(see, () => {
    viewer = null;
    if (asked().show !== null) say(`${t("error.unreachable")}. ${t("error.unreachable.detail")}`);
  });
}

function see(viewer) {
  const state = asked();
  if (state.show === null) viewer.hide();
  else viewer.show(state.show, state.tab === "clips" ? clips.rankingOf(state) : null);
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
  const tuned = Object.keys(state.weights).length + filtersIn(state.filters);
  byId("tuned").hidden = tuned === 0;
  byId("tuned").textContent = tuned;
  tools(state, { asks, shareable: view(state).shareable?.(state) ?? true });
  document.title = asks ? `${view(state).titleOf(state)} · Quartet` : "Quartet";
  // The blanks of what is being typed are left alone.
  if (state.tab === "clips") {
    if (byId("query").value.trim() !== (state.q ?? "")) byId("query").value = state.q ?? "";
    parts.set(state);
  }
  weights.set(state.weights);
  filters.set(state, { places: state.tab === "clips", shown: asks });
}

function clear() {
  show();
  say("");
  busy(false);
  byId("read").replaceChildren();
  subject.clear();
}

async function answer(given, signal) {
  let state = given;
  // Which levels an address may weigh, the library says.
  if (Object.keys(state.weights).length && !levelNames().length) {
    await started;
    if (signal.aborted) return;
    state = asked();
  }
  if (state.tab !== "captions") subject.clear();
  if (state.tab !== "clips") byId("read").replaceChildren();
  const held = document.activeElement;
  const ranking = view(state).rankingOf?.(state);
  if (ranking && !weights.any()) {
    ranking.forget();
    busy(false);
    say(t("weights.none"));
    const reset = button(t("weights.reset"), () => go({ ...asked(), weights: {} }), "primary");
    show(message(t("weights.none"), [t("weights.none.detail")], reset));
    return;
  }
  try {
    await view(state).answer(state, signal);
    if (signal.aborted) return;
    look();
    // A link that led here may have gone with the results before: the keyboard goes on from the new ones.
    if (held !== document.body && !held.isConnected) byId("results").focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) failed(error, state, ranking);
  }
}

function failed(error, state, ranking) {
  busy(false);
  say("");
  byId("read").replaceChildren();
  tools(state, { asks: false, shareable: false });
  ranking?.forget();
  // The same question may be asked again.
  answered = null;
  show(problem(error, () => render(asked(), { delay: 0 }), ...remedies(error, state)));
}

// Buttons that do what a refused question asks for.
function remedies({ status }, state) {
  if (state.tab !== "clips" || ![404, 422].includes(status)) return [];
  const without = (text, patch) => button(text, () => go({ ...asked(), ...patch }), "primary");
  const found = [];
  if (status === 404 && hasFile(state)) {
    found.push(without(t("remedy.file"), { parts: state.parts.filter(({ role }) => role !== "file") }));
  }
  if (Object.keys(state.weights).length) found.push(without(t("weights.reset"), { weights: {} }));
  if (filtersIn(state.filters)) found.push(without(t("filters.clear"), { filters: NO_FILTERS }));
  if (state.parts.length && !found.length) found.push(without(t("remedy.parts"), { parts: [] }));
  return found;
}

function listen() {
  const query = byId("query");
  const typed = () => ({ ...asked(), tab: "clips", q: query.value.trim() || null, show: null });
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
  const wide = matchMedia("(min-width: 60rem)");
  const open = () => (byId("tuning").open = wide.matches);
  wide.addEventListener("change", open);
  open();
  const asParts = (files) =>
    addFiles(files, (added) => go({ ...asked(), tab: "clips", show: null, parts: [...asked().parts, ...added] }));
  listenToMenu({ sentence: (role) => parts.add(role), files: asParts });
  listenToFiles(async (files) => {
    const { tab } = asked();
    if (tab === "captions") captions.describe(files[0]);
    else if (tab !== "library" || !(await loaded()).take([...files])) asParts(files);
  });
  listenToSaved();
  listenToSettings(() => clips.rankingOf(asked()).list.redraw());
  captions.listen(() => (answered = null));
  listenToKeys();
  listenToAddress(render);
}

async function showLibrary() {
  byId("note").replaceChildren();
  const found = await api.library();
  const { counts, model, levels } = found;
  const held = [t("count.clips", { n: counts.clips }), t("count.videos", { n: counts.videos }), t("count.captions", { n: counts.captions })];
  byId("library").textContent = held.join(" · ");
  byId("note").replaceChildren(el("p", {}, t("model.note", { name: model.name, note: model.note })));
  chooseLibrary(found);
  setLevels(levels);
  weights.use(levels);
  await welcome(found, asked().filters);
}

// Without a search there is nowhere else to say that the service does not answer.
function start() {
  const failed = (error) => {
    const told = el("p", { role: "alert" }, `${error.title ?? t("error.page")}. ${error.message}`);
    byId("note").replaceChildren(told, button(t("action.tryAgain"), start));
  };
  started = showLibrary().catch(failed);
}

translate();
listen();
start();
// What was typed before this script came is a question too.
if (asked().q === null && asked().tab === "clips" && byId("query").value.trim()) {
  go({ ...asked(), q: byId("query").value.trim() }, { replace: true });
} else render(asked(), { delay: 0 });
// There is but one thing to do on the start page. A phone would cover it with its keyboard.
if (location.search === "" && matchMedia("(hover: hover)").matches) byId("query").focus();
