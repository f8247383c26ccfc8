// Why a clip was found: the share of each level, the line at its time, and the words seen, not seen and unknown.

import { el, signed } from "../common/dom.js";
import { meaningOf, titleOf, words } from "../common/levels.js";
import { t } from "../common/words.js";
import { likelihood } from "../results/details.js";
import { quotation } from "../results/line.js";

// `answer`: what the hit is from, if it is from a question.
export function why(hit, answer) {
  const rows = Object.keys(hit.levels).map((name) => row(name, hit.levels[name]));
  const heads = ["level", "score", "weight", "gives"].map((name) => el("th", { scope: "col" }, t(`viewer.${name}`)));
  const sum = el("th", { scope: "row", colSpan: 3 }, t("viewer.sum"));
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...heads)),
    el("tbody", {}, ...rows),
    el("tfoot", {}, el("tr", {}, sum, el("td", {}, signed(hit.score)))),
  );
  const { query_attributes: asked = null, unknown = null } = answer ?? {};
  const likely = hit.likelihood == null ? null : el("p", { className: "when" }, likelihood(hit.likelihood));
  const matched = hit.matched ? words(hit.matched, asked, unknown) : null;
  return [el("h3", {}, t("viewer.why")), likely, quotation(hit), table, matched].filter(Boolean);
}

function row(name, { activation, weight, contribution }) {
  const cell = (text) => el("td", {}, text);
  const head = el("th", { scope: "row", data: { level: name } }, titleOf(name), el("small", {}, meaningOf(name)));
  if (weight === 0) return el("tr", { className: "silent" }, head, cell("–"), cell("0"), cell("–"));
  const counted = cell(`× ${Number(weight.toFixed(2))}`);
  return el("tr", {}, head, cell(signed(activation)), counted, cell(signed(contribution)));
}
