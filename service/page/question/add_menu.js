// The menu that adds parts to a question.

import { byId, el } from "../common/dom.js";
import { t } from "../common/words.js";

// `sentence(role)` adds a sentence: and, not or then; `files(chosen)` adds pictures and videos.
export function listenToMenu({ sentence, files }) {
  const menu = byId("add-part");
  const item = (key, act) => {
    const about = el("small", {}, t(`${key}.about`));
    const button = el("button", { type: "button" }, el("b", {}, t(key)), about);
    button.addEventListener("click", () => {
      menu.hidePopover();
      act();
    });
    return button;
  };
  menu.append(
    item("add.and", () => sentence("and")),
    item("add.not", () => sentence("not")),
    item("add.then", () => sentence("then")),
    item("add.file", () => byId("example-file").click()),
  );
  byId("example-file").addEventListener("change", (event) => {
    files([...event.target.files]);
    // Else choosing the same file again would be no change.
    event.target.value = "";
  });
}
