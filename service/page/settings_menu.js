// The menu of settings: theme, language, density of the results. `redraw()` is called when the density has changed.

import { HOME, byId, el } from "./common/dom.js";
import { set, setting } from "./common/settings.js";
import { language, languages, speak, t } from "./common/words.js";
import { densities, density } from "./results/grid.js";

export function listen(redraw) {
  const theme = choice("theme", ["system", "light", "dark"], setting("theme") ?? "system", (value) => {
    set("theme", value === "system" ? null : value);
    if (value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
  });
  const dense = choice("density", densities, density(), (value) => {
    set("density", value);
    redraw();
  });
  const spoken = el("select", {}, ...languages.map(([code, name]) => el("option", { value: code, selected: code === language }, name)));
  spoken.addEventListener("change", () => speak(spoken.value));
  const links = el("p", {}, el("a", { className: "quiet", href: `${HOME}docs` }, t("settings.api")));
  byId("settings").append(theme, dense, el("label", {}, el("span", {}, t("settings.language")), spoken), links);
}

function choice(name, values, now, act) {
  const radios = values.map((value) => {
    const input = el("input", { type: "radio", name, value, checked: value === now });
    input.addEventListener("change", () => act(value));
    return el("label", {}, input, t(`settings.${name}.${value}`));
  });
  return el("fieldset", { className: "choice" }, el("legend", {}, t(`settings.${name}`)), ...radios);
}
