// A file that could not be used, as an item of a list.

import { el } from "./dom.js";

// Uploads are kept under names that begin with twelve hexadecimal digits, which tell nobody anything.
export const plainName = (file) => file.replace(/^[0-9a-f]{12}-/, "");

export function failureItem({ file, reason, detail }) {
  const why = el("span", { className: "reason" }, reason.replaceAll("-", " "));
  return el("li", {}, el("b", {}, plainName(file)), why, el("p", {}, detail));
}
