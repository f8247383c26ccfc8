// The four levels: bars, chips, and the sliders for their weights.

import { byId, el } from "./dom.js";

export const LEVELS = ["global", "entity", "action", "relation"];

const HINTS = {
  global: "the clip as a whole",
  entity: "the things in it",
  action: "what happens",
  relation: "who does what to whom",
};

const CHIPS = [
  ["entity", "entities"],
  ["action", "actions"],
  ["relation", "relations"],
];

// The longest bar of a whole list, so that bars can be compared between hits.
export const longestBar = (hits) =>
  Math.max(1e-6, ...hits.flatMap((hit) => Object.values(hit.levels).map((level) => Math.abs(level.contribution))));

export function bars(levels, longest) {
  const rows = LEVELS.filter((name) => name in levels).map((name) => {
    const { raw, activation, weight, contribution } = levels[name];
    const silent = weight === 0;
    const fill = el("span", { className: "fill" });
    fill.style.width = silent ? "0" : `${(100 * Math.abs(contribution)) / longest}%`;
    return el(
      "li",
      {
        className: silent ? "silent" : contribution < 0 ? "against" : "",
        data: { level: name },
        title: silent
          ? `${name}: ${HINTS[name]}. Does not count here.`
          : `${name}: ${HINTS[name]}. Score ${activation.toFixed(3)} (inner product ${raw.toFixed(3)}), weight ${Number(weight.toFixed(2))}.`,
      },
      el("span", {}, name),
      el("span", { className: "track" }, fill),
      el("span", { className: "value" }, silent ? "–" : contribution.toFixed(3).replace("-", "−")),
    );
  });
  return el("ul", { className: "bars", ariaLabel: "What each level gave to the score" }, ...rows);
}

export function chips(matched) {
  const words = CHIPS.flatMap(([level, field]) =>
    matched[field].map((word) => el("li", { data: { level }, title: `${level} that the model sees` }, word)),
  );
  return words.length ? el("ul", { className: "chips", ariaLabel: "Matched words" }, ...words) : null;
}

// Sliders for the weights. `changed` is called when one was moved. Only weights that differ from the
// model's are sent and kept in the address.
export class Weights {
  constructor(changed) {
    this.changed = changed;
    this.defaults = Object.fromEntries(LEVELS.map((name) => [name, 1]));
    this.inputs = {};
    const labels = LEVELS.map((name) => {
      const value = el("span", {});
      const input = el("input", { type: "range", min: 0, max: 3, step: 0.1, ariaLabel: `Weight of ${name}` });
      input.addEventListener("input", () => this.draw(name));
      input.addEventListener("change", () => this.changed());
      this.inputs[name] = { input, value };
      return el("label", { data: { level: name }, title: HINTS[name] }, el("span", {}, name), value, input);
    });
    const reset = el("button", { type: "button" }, "Reset");
    reset.addEventListener("click", () => {
      this.set({});
      this.changed();
    });
    byId("sliders").append(...labels, reset);
    this.set({});
  }

  use(levels) {
    const asked = this.get();
    for (const { name, weight } of levels) {
      this.defaults[name] = weight;
      this.inputs[name].input.max = Math.max(3, Math.ceil(2 * weight));
    }
    this.set(asked);
  }

  set(asked) {
    for (const name of LEVELS) {
      this.inputs[name].input.value = asked[name] ?? this.defaults[name];
      this.draw(name);
    }
  }

  draw(name) {
    const { input, value } = this.inputs[name];
    value.textContent = input.value;
    input.style.setProperty("--at", `${(100 * input.value) / input.max}%`);
  }

  get() {
    const moved = LEVELS.map((name) => [name, Number(this.inputs[name].input.value)]);
    return Object.fromEntries(moved.filter(([name, value]) => Math.abs(value - this.defaults[name]) > 0.05));
  }

  // "entity=2,action=0.5", as the command line writes it.
  read(text) {
    const pairs = text.split(",").map((part) => part.split("="));
    const known = pairs.filter(([name, value]) => LEVELS.includes(name) && Number(value) >= 0);
    this.set(Object.fromEntries(known));
    if (known.length) byId("weights").open = true;
  }

  write() {
    return Object.entries(this.get())
      .map(([name, value]) => `${name}=${value}`)
      .join(",");
  }
}
