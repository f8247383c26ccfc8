// The levels of the model, as the service names them: what they mean, their colours, and how a score is drawn as bars
// and words. Nothing else on the page knows how many there are.

import { el, signed } from "./dom.js";
import { known, t } from "./words.js";

// Colours of base.css: --level-1, --level-2, ...; past them they begin again.
const COLOURS = 8;

const colours = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, colours];

let levels = [];

// `specs`: {name, weight, meaning} of every level, in the order in which they are shown.
export function setLevels(specs) {
  levels = specs;
  const rule = ({ name }, i) => `[data-level="${CSS.escape(name)}"] { --level: var(--level-${(i % COLOURS) + 1}) }`;
  colours.replaceSync(specs.map(rule).join("\n"));
}

// The names and weights of an answer do until the library is known.
export function learnLevels(weights) {
  if (!levels.length) setLevels(Object.entries(weights).map(([name, weight]) => ({ name, weight, meaning: "" })));
}

export const levelNames = () => levels.map(({ name }) => name);

// Names and meanings of the levels that everybody has are in the reader's language.
export const titleOf = (name) => (known(`level.${name}`) ? t(`level.${name}`) : name);

export function meaningOf(name) {
  if (known(`meaning.${name}`)) return t(`meaning.${name}`);
  return levels.find((level) => level.name === name)?.meaning ?? "";
}

// Whether an address may give a level a weight: any may until the levels are known.
export const isLevel = (name) => !levels.length || levelNames().includes(name);

// The level that each kind of words belongs to.
const WORDS = [
  ["entity", "entities"],
  ["action", "actions"],
  ["relation", "relations"],
];

// The longest bar of a whole list, so that bars can be compared between hits.
export const longestBar = (hits) =>
  Math.max(1e-6, ...hits.flatMap((hit) => Object.values(hit.levels).map((level) => Math.abs(level.contribution))));

const sizeOf = (levels) => Object.values(levels).reduce((sum, level) => sum + Math.abs(level.contribution), 0);

// The longest stack of a whole list.
export const longestStack = (hits) => Math.max(1e-6, ...hits.map((hit) => sizeOf(hit.levels)));

// One bar of all levels: a segment for each, as long as its part in the score.
export function makeStack() {
  const segments = levelNames().map((name) => [name, el("span", { data: { level: name } })]);
  const node = el("span", { className: "stack", ariaHidden: "true" }, ...segments.map(([, segment]) => segment));
  const update = (levels, longest) => {
    for (const [name, segment] of segments) {
      const level = levels[name];
      const given = level && level.weight !== 0 ? level.contribution : 0;
      segment.hidden = given === 0;
      segment.className = given < 0 ? "against" : "";
      segment.style.width = `${(100 * Math.abs(given)) / longest}%`;
    }
  };
  return { node, update };
}

// A bar for each level, which `update(levels, longest)` changes in place, so that they grow and shrink under the sliders.
export function makeBars() {
  const rows = levelNames().map((name) => {
    const fill = el("span", { className: "fill" });
    const value = el("span", { className: "value" });
    const track = el("span", { className: "track" }, fill);
    const row = el("li", { data: { level: name } }, el("span", {}, titleOf(name)), track, value);
    return { name, row, fill, value };
  });
  const node = el("ul", { className: "bars", ariaLabel: t("levels.bars") });
  node.append(...rows.map(({ row }) => row));
  const update = (levels, longest) => {
    for (const { name, row, fill, value } of rows) {
      const level = levels[name];
      const silent = !level || level.weight === 0;
      row.hidden = !level; // a level that this kind of answer does not have
      row.className = silent ? "silent" : level.contribution < 0 ? "against" : "";
      const about = [titleOf(name), meaningOf(name)].filter(Boolean).join(": ");
      row.title = `${about}. ${silent ? t("levels.silent") : explained(level)}`;
      const share = silent ? 0 : Math.abs(level.contribution) / longest;
      // Not its width: a bar that grows in steps of layout would lay out the whole page in each.
      fill.style.clipPath = `inset(0 ${100 * (1 - share)}% 0 0 round 4px)`;
      value.textContent = silent ? "–" : signed(level.contribution);
    }
  };
  return { node, update };
}

const explained = ({ raw, activation, weight }) =>
  t("levels.explained", { score: signed(activation), product: signed(raw), weight: Number(weight.toFixed(2)) });

// Words by level: those that the hit shows, then those that were asked for and that it does not show, and at last those
// that the model cannot judge.
export function words(matched, asked = null, unknown = null) {
  const chips = WORDS.flatMap(([level, field]) => {
    const beyond = unknown?.[field] ?? [];
    const missing = (asked?.[field] ?? []).filter((word) => !matched[field].includes(word) && !beyond.includes(word));
    return [
      ...matched[field].map((word) => chip(level, word, SEEN)),
      ...missing.map((word) => chip(level, word, MISSING)),
      ...beyond.map((word) => chip(level, word, UNKNOWN)),
    ];
  });
  return chips.length ? el("ul", { className: "chips", ariaLabel: t("words.matched") }, ...chips) : null;
}

const SEEN = { className: "", title: "words.seen" };
const MISSING = { className: "missing", title: "words.missing", hint: "words.notSeen" };
const UNKNOWN = { className: "unknown", title: "words.unknown", hint: "words.unknownHint" };

function chip(level, word, { className, title, hint = null }) {
  const said = hint && el("span", { className: "hidden" }, ` (${t(hint)})`);
  return el("li", { data: { level }, className, title: `${titleOf(level)}: ${t(title)}` }, word, said);
}

// What the parser read off a sentence, as a line.
export function readAs(asked) {
  const chips = WORDS.flatMap(([level, field]) =>
    asked[field].map((word) => el("li", { data: { level }, title: titleOf(level) }, word)),
  );
  if (!chips.length) return [];
  const list = el("ul", { className: "chips", ariaLabel: t("read.list") }, ...chips);
  return [el("span", {}, t("read.as")), list];
}
