// The menu of searches: those that the library keeps, with what is new, and the recent ones of this browser.

import { asked, go } from "../common/address.js";
import * as api from "../common/api.js";
import { byId, el, icon } from "../common/dom.js";
import { button } from "../common/messages.js";
import { asksForClips, href } from "../common/state.js";
import { t } from "../common/words.js";
import { forget, recent } from "./recent.js";
import { hasFile, savedRequestOf, stateOf } from "./request.js";

const menu = () => byId("saved");

export function listen() {
  menu().addEventListener("toggle", (event) => event.newState === "open" && draw());
}

async function draw() {
  const wrong = el("p", { className: "wrong", role: "alert" });
  const list = el("div", { className: "saved-list" });
  menu().replaceChildren(...[saving(wrong, list), wrong, list, recentList()].filter(Boolean));
  menu().querySelector("input, a, button")?.focus();
  await fill(list, wrong);
}

async function fill(list, wrong) {
  try {
    const { items } = await api.savedSearches();
    const rows = items.map((saved) => savedRow(saved, list, wrong));
    const title = el("h3", {}, t("saved.title"));
    list.replaceChildren(title, items.length ? el("ul", {}, ...rows) : el("p", { className: "soft" }, t("saved.none")));
  } catch (error) {
    wrong.textContent = error.message;
  }
}

function savedRow({ name, request, seen, new_clips: isNew }, list, wrong) {
  const state = stateOf(request);
  const link = el("a", { href: href(state) }, name);
  link.addEventListener("click", () => menu().hidePopover());
  const fresh = el("button", { type: "button", className: "badge", hidden: !isNew }, t("saved.new"));
  fresh.ariaLabel = t("saved.showNew", { name });
  fresh.addEventListener("click", () => {
    menu().hidePopover();
    api.markSeen(name).catch((error) => (wrong.textContent = error.message));
    go({ ...state, filters: { ...state.filters, newer: seen } });
  });
  const remove = el("button", { type: "button", className: "icon", ariaLabel: t("saved.forget", { name }) }, icon("close"));
  remove.addEventListener("click", async () => {
    await api.forgetSearch(name).catch((error) => (wrong.textContent = error.message));
    await fill(list, wrong);
    menu().querySelector("input, a, button")?.focus();
  });
  return el("li", {}, link, fresh, remove);
}

// The form that keeps what is asked now; null where nothing is.
function saving(wrong, list) {
  const state = asked();
  if (state.tab !== "clips" || !asksForClips(state)) return null;
  if (hasFile(state)) return el("p", { className: "soft" }, t("saved.noFiles"));
  const name = el("input", { type: "text", maxLength: 64, required: true, value: (state.q ?? "").slice(0, 64) });
  const label = el("label", {}, el("span", {}, t("saved.name")), name);
  const form = el("form", {}, label, el("button", { type: "submit", className: "primary" }, t("saved.save")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      await api.saveSearch(name.value.trim(), savedRequestOf(state));
      await fill(list, wrong);
    } catch (error) {
      wrong.textContent = error.message;
    }
  });
  return form;
}

function recentList() {
  const items = recent();
  if (!items.length) return null;
  const rows = items.map((state) => {
    const texts = [state.q, ...state.parts.map(({ role, value }) => `${t(`part.${role}`)} ${value}`)];
    const link = el("a", { href: href(state) }, texts.filter(Boolean).join(" · "));
    link.addEventListener("click", () => menu().hidePopover());
    return el("li", {}, link);
  });
  const clear = button(t("recent.clear"), () => {
    forget();
    draw();
  }, "plain");
  return el("div", {}, el("h3", {}, t("recent.title")), el("ul", {}, ...rows), clear);
}
