// The row of tools above the results: clips or films, their order, what is folded, and the link to share.

import { go, asked } from "../common/address.js";
import { byId, el, icon } from "../common/dom.js";
import { button } from "../common/messages.js";
import { href } from "../common/state.js";
import { t } from "../common/words.js";
import { foldsAlike, isSequence } from "../question/request.js";

let drawn = null;

// `asks`: whether there is anything to show; `shareable`: whether its address says all of it.
export function tools(state, { asks, shareable }) {
  const clips = asks && state.tab === "clips";
  const says = JSON.stringify([state.tab, state.view, state.sort, state.all, isSequence(state), asks, shareable]);
  if (drawn === says) {
    for (const link of byId("tools").querySelectorAll("[data-view]")) link.href = href(shownAs(state, link.dataset.view));
    return;
  }
  drawn = says;
  // What has the focus keeps it.
  const held = byId("tools").contains(document.activeElement) ? document.activeElement.dataset : null;
  const rows = [
    clips && !isSequence(state) ? views(state) : null,
    clips && !isSequence(state) ? order(state) : null,
    clips && state.view === null && (state.all || foldsAlike(state)) ? folding(state) : null,
    asks && state.tab !== "library" && shareable ? copying() : null,
  ];
  byId("tools").replaceChildren(...rows.filter(Boolean));
  if (held) byId("tools").querySelector(held.view ? `[data-view="${held.view}"]` : `[data-tool="${held.tool}"]`)?.focus();
}

const shownAs = (state, view) => ({ ...state, show: null, view: view === "films" ? "films" : null });

function views(state) {
  const link = (view) => {
    const node = el("a", { href: href(shownAs(state, view)), data: { view } }, t(`view.${view}`));
    node.ariaCurrent = (state.view ?? "clips") === view ? "true" : null;
    return node;
  };
  return el("div", { className: "segments", role: "group", ariaLabel: t("view.title") }, link("clips"), link("films"));
}

function order(state) {
  const choices = ["score", "time", "date"];
  const options = choices.map((value) => el("option", { value, selected: value === (state.sort ?? "score") }, t(`sort.${value}`)));
  const select = el("select", { ariaLabel: t("sort.title"), data: { tool: "sort" } }, ...options);
  select.addEventListener("change", () => go({ ...asked(), sort: select.value === "score" ? null : select.value }));
  return select;
}

function folding(state) {
  const box = el("input", { type: "checkbox", checked: !state.all, data: { tool: "fold" } });
  box.addEventListener("change", () => go({ ...asked(), all: !box.checked }));
  return el("label", { className: "fold", title: t("fold.about") }, box, t("fold.title"));
}

function copying() {
  const node = button("", copy);
  node.id = "copy";
  node.dataset.tool = "copy";
  node.append(icon("link"), el("span", {}, t("copy.link")));
  return node;
}

async function copy() {
  const label = byId("copy").querySelector("span");
  // Without HTTPS, browsers keep the clipboard to themselves.
  const done = await (navigator.clipboard?.writeText(location.href) ?? Promise.reject()).then(
    () => "copy.done",
    () => "copy.byHand",
  );
  label.textContent = t(done);
  setTimeout(() => (label.textContent = t("copy.link")), 2000);
}
