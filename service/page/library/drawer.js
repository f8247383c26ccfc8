// The drawer where videos are added: uploads, folders of the service's machine, and how far their indexing is.

import * as api from "../common/api.js";
import { byId, el, icon } from "../common/dom.js";
import { button, say } from "../common/messages.js";
import { t } from "../common/words.js";
import { JobList } from "./jobs.js";
import { UploadList } from "./uploads.js";

const sending = new UploadList();

// {signal, takesFiles, button, open(), send(files)}, or null where nothing can be added from here. `changed()` is called when a
// job has ended.
export async function drawerOf(changed, signal) {
  const { folders, uploads, jobs } = await api.jobs(signal);
  if (!folders.length && !uploads && !jobs.length) return null;
  const wrong = el("p", { className: "wrong", role: "alert" });
  const ended = (job) => {
    say(t("job.ended", { source: job.source, state: t(`job.${job.state}`) }));
    changed();
  };
  const list = new JobList({ ended, failed: (error) => (wrong.textContent = error.message), signal });
  const begin = async (start) => {
    wrong.textContent = "";
    try {
      list.add(await start());
    } catch (error) {
      if (error.name !== "AbortError") wrong.textContent = error.message;
    }
  };
  sending.begun = (job) => list.add(job);
  const upload = uploads ? uploadWay() : null;
  const parts = [upload, folders.length ? folderWay(folders, begin, signal) : null, wrong, sending.node, list.node];
  list.show(jobs);
  const open = () => {
    const close = el("button", { type: "button", className: "icon close", ariaLabel: t("action.close") }, icon("close"));
    close.addEventListener("click", () => byId("drawer").close());
    const title = el("h2", { id: "drawer-title" }, t("library.add"));
    byId("drawer").replaceChildren(title, close, ...parts.filter(Boolean));
    if (!byId("drawer").open) byId("drawer").showModal();
  };
  signal.addEventListener("abort", () => byId("drawer").close());
  // One button for as long as the drawer is there: the focus returns to it, however often the list is drawn.
  return { signal, takesFiles: uploads, button: button(t("library.add"), open, "primary"), open, send: (files) => sending.send(files) };
}

function uploadWay() {
  const input = el("input", { type: "file", id: "add", accept: "video/*,.mkv,.avi,.ts,.flv", multiple: true });
  const node = el("label", { className: "drop takes-files" }, input, icon("drop"));
  node.append(el("span", {}, t("upload.choose")), el("small", {}, t("upload.kept")));
  input.addEventListener("change", () => {
    sending.send([...input.files]);
    input.value = "";
  });
  for (const type of ["dragover", "dragleave", "drop"]) {
    node.addEventListener(type, (event) => {
      event.preventDefault();
      node.classList.toggle("over", type === "dragover");
      if (type === "drop") sending.send([...event.dataTransfer.files]);
    });
  }
  return node;
}

function folderWay(folders, begin, signal) {
  const folder = el("select", { ariaLabel: t("job.folder") }, ...folders.map((name) => el("option", { value: name }, name)));
  const path = el("input", { type: "text", ariaLabel: t("job.path"), placeholder: t("job.path.hint") });
  const start = el("button", { type: "submit", className: "primary" }, t("job.start"));
  const form = el("form", { className: "folder" }, el("span", {}, t("job.folder")), folder, path, start);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin(() => api.indexFolder(folder.value, path.value.trim() || ".", signal));
  });
  return form;
}
