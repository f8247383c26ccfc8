// Pictures and videos that are dropped, pasted or chosen: parts of the question, or what is to be described.

import * as api from "../common/api.js";
import { byId, el } from "../common/dom.js";
import { button } from "../common/messages.js";
import { t } from "../common/words.js";

// Files of one question (service/http/routes/questions.py).
const MOST = 4;

// What can be seen of the uploads of this page, by their ids.
const pictures = new Map();

export const pictureOf = (upload) => pictures.get(upload) ?? null;

// Uploads files; `added(parts)` is called with the parts that they are.
export async function addFiles(files, added) {
  const chosen = [...files].slice(0, MOST);
  if (!chosen.length) return;
  const state = byId("upload-state");
  const told = el("span", {}, t("upload.reading", { name: chosen.map(({ name }) => name).join(", ") }));
  state.replaceChildren(el("progress", { ariaLabel: told.textContent }), told);
  state.hidden = false;
  try {
    const parts = [];
    for (const file of chosen) parts.push(await uploaded(file));
    state.hidden = true;
    added(parts);
  } catch (error) {
    const dismiss = button(t("action.close"), () => (state.hidden = true), "plain");
    const again = button(t("action.tryAgain"), () => addFiles(files, added), "plain");
    state.replaceChildren(el("span", { role: "alert", className: "wrong" }, `${error.message} `), again, dismiss);
  }
}

async function uploaded(file) {
  const { upload } = await api.uploadExample(file);
  if (file.type.startsWith("image/")) pictures.set(upload, URL.createObjectURL(file));
  return { role: "file", value: { upload, name: file.name || t("upload.pasted") } };
}

// `take(files)` is called with what is dropped or pasted anywhere, except where the library takes it to be indexed.
export function listen(take) {
  const carries = (event) => event.dataTransfer?.types.includes("Files") && !event.target.closest?.(".takes-files");
  const leave = () => document.body.classList.remove("dropping");
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && leave());
  addEventListener("drop", (event) => {
    leave();
    if (!carries(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (!files.length || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    take(files);
  });
}
