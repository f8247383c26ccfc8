// The parts of a question beside its first sentence, as chips that can be changed and taken away.

import * as api from "../common/api.js";
import { at, byId, clock, el, icon } from "../common/dom.js";
import { t } from "../common/words.js";
import { pictureOf } from "./files.js";

const TEXTS = ["and", "not", "then"];
const WITHIN = 60;

export class Parts {
  // `changed(patch, {live})` is called with what of the state was changed; `live`: more of the same may follow.
  constructor(changed) {
    this.changed = changed;
    this.chips = [];
    this.within = null;
    this.node = byId("parts");
  }

  // Show what a state says. Chips that say it already are left alone, also those that are still empty.
  set({ parts, within }) {
    this.within = within;
    if (JSON.stringify(this.parts()) === JSON.stringify(parts)) return;
    this.chips = parts.map((part) => this.chip(part));
    this.draw();
  }

  parts() {
    return this.chips.map(({ read }) => read()).filter(({ value }) => value);
  }

  // A new chip for a sentence, ready to be typed in.
  add(role) {
    this.chips.push(this.chip({ role, value: "" }));
    this.draw();
    this.chips.at(-1).node.querySelector("input").focus();
  }

  draw() {
    this.node.replaceChildren(...this.chips.map(({ node }) => node));
    this.node.hidden = this.chips.length === 0;
  }

  tell(live) {
    this.changed({ parts: this.parts() }, { live });
  }

  remove(chip) {
    const place = this.chips.indexOf(chip);
    this.chips.splice(place, 1);
    this.draw();
    // The keyboard goes on from the chip that took its place, or from the first sentence.
    const next = this.chips[Math.min(place, this.chips.length - 1)];
    (next?.node.querySelector("button") ?? byId("query")).focus();
    this.tell(false);
  }

  chip(part) {
    return TEXTS.includes(part.role) ? this.textChip(part) : this.pictureChip(part);
  }

  textChip({ role, value }) {
    const choices = TEXTS.map((name) => el("option", { value: name, selected: name === role }, t(`part.${name}`)));
    const select = el("select", { ariaLabel: t("part.role") }, ...choices);
    const input = el("input", { type: "text", value, maxLength: 1000, ariaLabel: t(`part.${role}.label`) });
    input.placeholder = t(`part.${role}.hint`);
    const within = this.withinField();
    const chip = { read: () => ({ role: select.value, value: input.value.trim().replace(/\s+/g, " ") }) };
    chip.node = el("li", { className: `part ${role}` }, select, input, within, this.removal(chip, () => input.value));
    within.hidden = role !== "then";
    chip.named();
    select.addEventListener("change", () => {
      chip.node.className = `part ${select.value}`;
      input.ariaLabel = t(`part.${select.value}.label`);
      within.hidden = select.value !== "then";
      this.tell(false);
    });
    input.addEventListener("input", () => {
      chip.named();
      this.tell(true);
    });
    input.addEventListener("change", () => this.tell(false));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && input.value === "") {
        event.preventDefault();
        this.remove(chip);
      }
    });
    return chip;
  }

  // At most how many seconds later the moment begins.
  withinField() {
    const input = el("input", { type: "number", min: 0, max: 86400, value: this.within ?? WITHIN });
    input.addEventListener("change", () => {
      if (!input.validity.valid || input.value === "") return;
      this.changed({ within: input.valueAsNumber === WITHIN ? null : input.valueAsNumber }, { live: false });
    });
    return el("label", { className: "within-seconds" }, t("part.within"), input, t("part.seconds"));
  }

  pictureChip(part) {
    const { role, value } = part;
    const label = el("span", { className: "role" }, t(`part.${role}`));
    const name = el("span", { className: "name" });
    const picture = el("img", { alt: "" });
    const chip = { read: () => part };
    chip.node = el("li", { className: `part ${role}` }, label, picture, name, this.removal(chip, () => name.textContent));
    if (role === "file") {
      name.textContent = value.name;
      const url = pictureOf(value.upload);
      if (url) picture.src = url;
      else picture.hidden = true;
    } else {
      picture.src = at(`/v1/clips/${value}/thumbnail`);
      name.textContent = t("part.clip", { id: String(value) });
      const learn = (clip) => {
        name.textContent = `${clip.title}, ${clock(clip.start)}`;
        chip.named();
      };
      // A clip that is not there is told by the search.
      api.clip(value).then(learn, () => (picture.hidden = true));
    }
    chip.named();
    return chip;
  }

  removal(chip, nameOf) {
    const button = el("button", { type: "button", className: "icon" }, icon("close"));
    button.addEventListener("click", () => this.remove(chip));
    chip.named = () => (button.ariaLabel = t("part.remove", { name: nameOf() || t("part.list") }));
    return button;
  }
}
