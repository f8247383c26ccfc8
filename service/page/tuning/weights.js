// Four sliders for the weights of the levels. Only weights that differ from the model's are sent and kept in the
// address. `moved(weights)` is called at every step of a slider, `rested()` when it is let go.

import { byId, el } from "../common/dom.js";
import { HINTS, LEVELS } from "../common/levels.js";

const MOST = 3;
const STEP = 0.1;

export class Weights {
  constructor({ moved, rested }) {
    this.defaults = Object.fromEntries(LEVELS.map((name) => [name, 1]));
    this.inputs = {};
    const labels = LEVELS.map((name) => {
      const value = el("span", { className: "amount" });
      const input = el("input", { type: "range", min: 0, max: MOST, step: STEP, ariaLabel: `Weight of ${name}` });
      input.addEventListener("input", () => {
        this.draw(name);
        moved(this.get());
      });
      input.addEventListener("change", rested);
      this.inputs[name] = { input, value };
      const meaning = el("small", {}, HINTS[name]);
      return el("label", { data: { level: name } }, el("span", {}, name), value, input, meaning);
    });
    this.reset = el("button", { type: "button", className: "plain", ariaLabel: "Reset weights" }, "Reset");
    this.reset.addEventListener("click", () => {
      this.set({});
      moved({});
      rested();
    });
    byId("sliders").append(...labels, this.reset);
    this.set({});
  }

  // The model's own weights, once they are known.
  use(levels) {
    for (const { name, weight } of levels) {
      if (!(name in this.inputs)) continue;
      this.defaults[name] = weight;
      this.inputs[name].input.max = Math.max(MOST, Math.ceil(2 * weight));
    }
    this.set(this.asked);
  }

  set(asked) {
    this.asked = asked;
    for (const name of LEVELS) {
      const { input } = this.inputs[name];
      const wanted = String(asked[name] ?? this.defaults[name]);
      // A slider that is being dragged is told what it says itself: it must not be touched.
      if (input.value !== wanted) input.value = wanted;
      this.draw(name);
    }
  }

  draw(name) {
    const { input, value } = this.inputs[name];
    value.textContent = Number(input.value).toFixed(1);
    input.style.setProperty("--at", `${(100 * input.value) / input.max}%`);
    // It keeps its place: a form that is laid out anew ends the drag of a slider in Chromium.
    this.reset.classList.toggle("unneeded", !Object.keys(this.get()).length);
  }

  // Weights that are not the model's; a slider cannot stand exactly on every weight of a model.
  get() {
    const moved = LEVELS.map((name) => [name, Number(this.inputs[name].input.value)]);
    return Object.fromEntries(moved.filter(([name, value]) => Math.abs(value - this.defaults[name]) > STEP / 2));
  }

  any() {
    return Object.values(this.all()).some((weight) => weight > 0);
  }

  all() {
    return { ...this.defaults, ...this.get() };
  }
}
