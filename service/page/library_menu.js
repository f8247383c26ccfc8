// The menu of libraries, where the service has several. Each has a page of its own; the sentence goes along.

import { asked } from "./common/address.js";
import { HOME, byId, el, homeOf } from "./common/dom.js";
import { href } from "./common/state.js";
import { t } from "./common/words.js";

// `name`: the library of this page; `libraries`: the names of all, the default one first.
export function chooseLibrary({ name, libraries }) {
  const menu = byId("libraries");
  menu.hidden = libraries.length < 2;
  const option = (value) => el("option", { value, selected: value === name }, value === "default" ? t("libraries.default") : value);
  menu.replaceChildren(...libraries.map(option));
  menu.onchange = () => {
    const home = homeOf(menu.value, libraries);
    // Who comes back finds the library of this page.
    menu.value = name;
    location.assign(home + questionOf(asked()).slice(HOME.length));
  };
}

// Clips, videos, tags and uploads of one library mean nothing to another.
function questionOf({ tab, q, parts, within, view }) {
  return href({ tab, q, parts: parts.filter(({ role }) => ["and", "not", "then"].includes(role)), within, view });
}
