// A slider for the weight of each level. Only weights that differ from the model's are sent and kept in the
// address. `moved(weights)` is called at every step of a slider, `rested()` when it is let go.

import { byId, el } from "../common/dom.js";
import { meaningOf, titleOf } from "../common/levels.js";
import { t } from "../common/words.js";

const TEXTS = "words";
const MOST = 3;
const STEP = 0.1;

export class Weights {
  constructor({ moved, rested }) {
    Object.assign(this, { moved, rested, defaults: {}, inputs: {}, asked: {} });
    this.reset = el("button", { type: "button", className: "plain", ariaLabel: t("weights.reset") }, t("weights.reset.short"));
    this.reset.addEventListener("click", () => {
      this.set({});
      moved({});
      rested();
    });
    byId("sliders").append(this.reset);
    this.set({});
  }

  // The levels with the model's own weights, once they are known.
  use(levels) {
    for (const { name, weight } of levels) {
      if (!(name in this.inputs)) this.add(name);
      this.defaults[name] = weight;
      this.inputs[name].input.max = Math.max(MOST, Math.ceil(2 * weight));
    }
    this.set(this.asked);
  }

  add(name) {
    const value = el("span", { className: "amount" });
    const input = el("input", { type: "range", min: 0, max: MOST, step: STEP, ariaLabel: t("weights.of", { level: titleOf(name) }) });
    input.addEventListener("input", () => {
      this.draw(name);
      this.moved(this.get());
    });
    input.addEventListener("change", this.rested);
    this.inputs[name] = { input, value };
    const label = el("label", { data: { level: name }, title: meaningOf(name) }, el("span", {}, titleOf(name)), value, input);
    this.reset.before(label);
  }

  set(asked) {
    this.asked = asked;
    for (const [name, { input }] of Object.entries(this.inputs)) {
      const wanted = String(asked[name] ?? this.defaults[name]);
      // A slider that is being dragged is told what it says itself: it must not be touched.
      if (input.value !== wanted) input.value = wanted;
      this.draw(name);
    }
    this.markReset();
  }

  draw(name) {
    const { input, value } = this.inputs[name];
    value.textContent = Number(input.value).toFixed(1);
    input.style.setProperty("--at", `${(100 * input.value) / input.max}%`);
    this.markReset();
  }

  markReset() {
    // It keeps its place: a form that is laid out anew ends the drag of a slider in Chromium.
    this.reset.classList.toggle("unneeded", !Object.keys(this.get()).length);
  }

  // Weights that are not the model's; a slider cannot stand exactly on every weight of a model.
  get() {
    const moved = Object.entries(this.inputs).map(([name, { input }]) => [name, Number(input.value)]);
    return Object.fromEntries(moved.filter(([name, value]) => Math.abs(value - this.defaults[name]) > STEP / 2));
  }

  // Whether any level counts, as far as they are known.
  any() {
    // Texts only raise what a level of the model has scored: alone they rank nothing.
    const ranking = Object.entries(this.all()).filter(([name]) => name !== TEXTS);
    return !Object.keys(this.inputs).length || ranking.some(([, weight]) => weight > 0);
  }

  all() {
    return { ...this.defaults, ...this.get() };
  }
}
