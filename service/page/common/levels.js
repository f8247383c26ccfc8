// The four levels: their names, what they mean, and how a score is drawn as bars and words.

import { el, signed } from "./dom.js";

export const LEVELS = ["global", "entity", "action", "relation"];

export const HINTS = {
  global: "the clip as a whole",
  entity: "the things in it",
  action: "what happens",
  relation: "who does what to whom",
};

// The level that each kind of words belongs to.
const WORDS = [
  ["entity", "entities"],
  ["action", "actions"],
  ["relation", "relations"],
];

// The longest bar of a whole list, so that bars can be compared between hits.
export const longestBar = (hits) =>
  Math.max(1e-6, ...hits.flatMap((hit) => Object.values(hit.levels).map((level) => Math.abs(level.contribution))));

// Four bars that `update(levels, longest)` changes in place, so that they grow and shrink under the sliders.
export function makeBars() {
  const rows = LEVELS.map((name) => {
    const fill = el("span", { className: "fill" });
    const value = el("span", { className: "value" });
    const track = el("span", { className: "track" }, fill);
    const row = el("li", { data: { level: name } }, el("span", {}, name), track, value);
    return { name, row, fill, value };
  });
  const node = el("ul", { className: "bars", ariaLabel: "What each level gave to the score" });
  node.append(...rows.map(({ row }) => row));
  const update = (levels, longest) => {
    for (const { name, row, fill, value } of rows) {
      const level = levels[name];
      const silent = !level || level.weight === 0;
      row.className = silent ? "silent" : level.contribution < 0 ? "against" : "";
      row.title = `${name}: ${HINTS[name]}. ${silent ? "Does not count here." : explained(level)}`;
      const share = silent ? 0 : Math.abs(level.contribution) / longest;
      // Not its width: a bar that grows in steps of layout would lay out the whole page in each.
      fill.style.clipPath = `inset(0 ${100 * (1 - share)}% 0 0 round 4px)`;
      value.textContent = silent ? "–" : signed(level.contribution);
    }
  };
  return { node, update };
}

export const explained = ({ raw, activation, weight }) =>
  `Score ${signed(activation)} (inner product ${signed(raw)}), weight ${Number(weight.toFixed(2))}.`;

// Words by level: those that the hit shows, then those that were asked for and that it does not show.
export function words(matched, asked = null) {
  const chips = WORDS.flatMap(([level, field]) => {
    const missing = (asked?.[field] ?? []).filter((word) => !matched[field].includes(word));
    return [
      ...matched[field].map((word) => chip(level, word, true)),
      ...missing.map((word) => chip(level, word, false)),
    ];
  });
  return chips.length ? el("ul", { className: "chips", ariaLabel: "Words that matched" }, ...chips) : null;
}

function chip(level, word, shown) {
  const title = shown ? `${level}: the model sees it here` : `${level}: asked for, not seen here`;
  const hint = shown ? null : el("span", { className: "hidden" }, " (not seen)");
  return el("li", { data: { level }, className: shown ? "" : "missing", title }, word, hint);
}

// What the parser read off a sentence, as a line.
export function readAs(asked) {
  const chips = WORDS.flatMap(([level, field]) =>
    asked[field].map((word) => el("li", { data: { level }, title: level }, word)),
  );
  if (!chips.length) return [];
  const list = el("ul", { className: "chips", ariaLabel: "What was read off the sentence" }, ...chips);
  return [el("span", {}, "Read as"), list];
}
