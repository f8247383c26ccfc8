// A field where things of the library are chosen by name, one after the other, and the list of those that are.

import { el, icon } from "../common/dom.js";
import { t } from "../common/words.js";

// `load(text)` gives {complete, items: [[name, value], ...]}; `changed(values)` is called with all that are chosen;
// `nameOf(value)`; `without(name)` is what the button that takes one away does.
export class Chooser {
  constructor({ id, label, load, changed, nameOf, without }) {
    Object.assign(this, { load, changed, nameOf, without });
    this.values = [];
    this.offered = new Map();
    this.options = el("datalist", { id });
    this.input = el("input", { type: "text", placeholder: t("filter.any"), autocomplete: "off" });
    this.input.setAttribute("list", id);
    this.input.addEventListener("focus", () => this.offer());
    this.input.addEventListener("input", () => this.choose() || this.complete || this.offer());
    this.chosen = el("ul", { className: "chosen", ariaLabel: t(`filter.chosen.${id}`) });
    this.node = el("div", {}, el("label", {}, el("span", {}, label), this.input), this.options, this.chosen);
    this.node.className = "chooser";
  }

  // The names to choose from. Where there are too many for one list, those that fit what is typed.
  async offer() {
    const typed = this.input.value;
    const { complete, items } = await this.load(typed).catch(() => ({ complete: false, items: [] }));
    if (typed !== this.input.value) return;
    this.complete = complete;
    this.offered = new Map(items);
    this.options.replaceChildren(...items.map(([name]) => el("option", { value: name })));
    this.choose();
  }

  // What is typed is chosen as soon as it is a name; returns whether it was.
  choose() {
    const value = this.offered.get(this.input.value);
    if (value === undefined || document.activeElement !== this.input) return false;
    this.input.value = "";
    this.changed([...new Set([...this.values, value])]);
    return true;
  }

  show(values) {
    this.values = values;
    this.chosen.replaceChildren(...values.map((value) => this.item(value)));
  }

  item(value) {
    const name = this.nameOf(value);
    const remove = el("button", { type: "button", ariaLabel: this.without(name) }, icon("close"));
    remove.addEventListener("click", () => this.changed(this.values.filter((other) => other !== value)));
    return el("li", {}, el("span", {}, name), remove);
  }
}
