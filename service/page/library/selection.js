// What is selected in the library, and what can be done with it: tag, export as a list, remove.

import * as api from "../common/api.js";
import { byId, el } from "../common/dom.js";
import { button } from "../common/messages.js";
import { t } from "../common/words.js";

const FORMATS = ["csv", "m3u8", "otio", "edl", "fcpxml"];
// Clips of a list (quartet/schemas/library.py).
const MOST_CLIPS = 1000;

// `changed()` is called when the library is another one. Gives {node, box(video)}.
export function selectionBar(changed) {
  const chosen = new Map();
  const count = el("b", { role: "status" });
  const wrong = el("span", { className: "wrong", role: "alert" });
  const node = el("div", { className: "selection", role: "group", ariaLabel: t("select.title"), hidden: true });
  const boxes = new Map();

  const look = () => {
    node.hidden = chosen.size === 0;
    count.textContent = t("select.count", { n: chosen.size });
    wrong.textContent = "";
  };
  const none = () => {
    chosen.clear();
    for (const box of boxes.values()) box.checked = false;
    look();
  };
  // What fails is told here, and the selection stays.
  const attempt = async (act) => {
    wrong.textContent = "";
    try {
      await act([...chosen.keys()]);
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  const change = (act) =>
    attempt(async (ids) => {
      await act(ids);
      none();
      await changed();
    });

  const tag = el("input", { type: "text", maxLength: 64, required: true, placeholder: t("select.tag"), ariaLabel: t("select.tag") });
  const tagging = el("form", {}, tag, el("button", { type: "submit", className: "ghost" }, t("select.addTag")));
  tagging.append(button(t("select.removeTag"), () => tag.reportValidity() && change((ids) => api.tagVideos(ids, [], [tag.value]))));
  tagging.addEventListener("submit", (event) => {
    event.preventDefault();
    change((ids) => api.tagVideos(ids, [tag.value], []));
  });
  const format = el("select", { ariaLabel: t("select.format") }, ...FORMATS.map((name) => el("option", { value: name }, name.toUpperCase())));
  const save = button(t("select.export"), () => attempt((ids) => exported(ids, format.value)));
  const remove = button(t("select.delete"), () => confirmed(chosen.size, () => change(api.deleteVideos)), "ghost danger");
  node.append(count, tagging, el("span", { className: "together" }, format, save), remove, button(t("select.none"), none, "plain"), wrong);

  const box = (video) => {
    const input = el("input", { type: "checkbox", checked: chosen.has(video.video_id) });
    input.ariaLabel = t("select.one", { title: video.title });
    boxes.set(video.video_id, input);
    input.addEventListener("change", () => {
      if (input.checked) chosen.set(video.video_id, video);
      else chosen.delete(video.video_id);
      look();
    });
    return input;
  };
  return { node, box };
}

async function exported(ids, format) {
  const lists = await Promise.all(ids.map((id) => api.clipsOf(id, MOST_CLIPS)));
  const clips = lists.flatMap(({ items }) => items.map(({ clip_id: clip }) => clip)).slice(0, MOST_CLIPS);
  const url = URL.createObjectURL(await api.listFile(clips, format));
  el("a", { href: url, download: `selection.${format}` }).click();
  URL.revokeObjectURL(url);
}

function confirmed(n, act) {
  const dialog = byId("confirm");
  const cancel = button(t("action.cancel"), () => dialog.close());
  const go = button(t("select.delete"), () => {
    dialog.close();
    act();
  }, "primary danger");
  const title = el("h2", { id: "confirm-title" }, t("select.delete.title", { n }));
  dialog.replaceChildren(title, el("p", {}, t("select.delete.detail")), el("div", { className: "row" }, cancel, go));
  dialog.showModal();
}
