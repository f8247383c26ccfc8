// A file that could not be used, as an item of a list.

import { el } from "../common/dom.js";

export function failureItem({ file, reason, detail }) {
  const why = el("span", { className: "reason" }, reason.replaceAll("-", " "));
  return el("li", {}, el("b", {}, file), why, el("p", {}, detail));
}
