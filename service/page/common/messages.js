// What stands in the place of results: the outline of what is to come, a message, a problem and what to do about it.

import { HOME, byId, el } from "./dom.js";
import { known, t } from "./words.js";

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

// `remedies`: more buttons, which do what the error asks for. The request id is there for who runs the service.
export function problem(error, again, ...remedies) {
  const expected = error.title !== undefined;
  if (!expected) console.error(error);
  const box = message(
    expected ? titleOf(error) : t("error.page"),
    [expected ? error.message : t("error.page.detail")],
    ...remedies,
    button(t("action.tryAgain"), again, remedies.length ? "ghost" : "primary"),
    el("a", { className: "ghost", href: HOME }, t("action.startAgain")),
  );
  box.classList.add("bad");
  box.role = "alert";
  if (error.requestId) {
    const id = el("code", {}, error.requestId);
    box.append(el("details", {}, el("summary", {}, t("error.details")), el("p", {}, `${t("error.request")} `, id)));
  }
  return box;
}

// Kinds of problems (/problems) have a title in the reader's language.
function titleOf(error) {
  const key = `problem.${error.type.split("#")[1]}`;
  return known(key) ? t(key) : error.title;
}

// Outlines, where nothing is shown that could stay until the answer comes.
export function waiting(kind) {
  const line = () => el("div", { className: "line" });
  const card = () => el("li", { className: "card waiting" }, el("div", { className: "screen" }), line(), line());
  const count = kind === "grid" ? 12 : 4;
  return el("ol", { className: `${kind} outline`, ariaHidden: "true" }, ...Array.from({ length: count }, card));
}
