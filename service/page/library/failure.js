// A file that could not be used, as an item of a list: its name, its folder, the reason.

import { el } from "../common/dom.js";
import { known, t } from "../common/words.js";

export function failureItem({ file, folder = null, reason, detail }) {
  const why = el("span", { className: "reason" }, known(`reason.${reason}`) ? t(`reason.${reason}`) : reason.replaceAll("-", " "));
  const place = folder ? el("small", {}, folder) : null;
  return el("li", {}, el("b", {}, file), why, place, el("p", {}, detail));
}
