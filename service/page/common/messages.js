// What stands in the place of results: the outline of what is to come, a message, a problem and what to do about it.

import { HOME, byId, el } from "./dom.js";

export const show = (...nodes) => byId("results").replaceChildren(...nodes);

// The one line above the results, which screen readers are told.
export const say = (text) => (byId("summary").textContent = text);

export const busy = (is) => (byId("results").ariaBusy = String(is));

// `doing`: buttons and links that lead on.
export function message(title, lines, ...doing) {
  const row = doing.length ? el("div", { className: "row" }, ...doing) : null;
  return el("div", { className: "message" }, el("h2", {}, title), ...lines.map((line) => el("p", {}, line)), row);
}

export const command = (text) => el("code", {}, text);

export function button(text, act, className = "ghost") {
  const node = el("button", { type: "button", className }, text);
  node.addEventListener("click", act);
  return node;
}

export function problem(error, again) {
  const known = error.title !== undefined;
  if (!known) console.error(error);
  const id = error.requestId ? el("p", {}, el("code", {}, `request ${error.requestId}`)) : null;
  const box = message(
    known ? error.title : "Something went wrong on this page",
    [known ? error.message : "Load it again. If that does not help, the browser's console has the cause."],
    button("Try again", again),
    el("a", { className: "ghost", href: HOME }, "Start again"),
  );
  box.classList.add("bad");
  box.role = "alert";
  if (id) box.append(id);
  return box;
}

// Outlines, where nothing is shown that could stay until the answer comes.
export function waiting(kind) {
  const line = () => el("div", { className: "line" });
  const card = () =>
    el(
      "li",
      { className: "card waiting" },
      kind === "grid" ? el("div", { className: "screen" }) : null,
      el("div", { className: "about" }, line(), line(), line()),
    );
  return el("ol", { className: kind, ariaHidden: "true" }, ...Array.from({ length: kind === "grid" ? 6 : 4 }, card));
}
