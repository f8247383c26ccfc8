// Adding videos: uploads and folders of the service's machine, and how far their indexing is.

import * as api from "../common/api.js";
import { count, el, icon, seconds } from "../common/dom.js";
import { button, say } from "../common/messages.js";
import { failureItem } from "./failure.js";

// Milliseconds between two looks at a job.
const PACE = 700;
const SHOWN = 5;

const ENDED = ["done", "failed", "cancelled"];
const WORDS = { queued: "Waiting", running: "Indexing", done: "Done", failed: "Failed", cancelled: "Cancelled" };

// The panel, or null where nothing can be added from here. `changed()` is called when a job has ended.
export async function showJobs(changed, signal) {
  const { folders, uploads, jobs } = await api.jobs(signal);
  if (!folders.length && !uploads && !jobs.length) return null;
  const list = el("ul", { className: "jobs", ariaLabel: "Indexing" });
  const wrong = el("p", { className: "wrong", role: "alert" });
  const cancel = (job) => begin(() => api.cancelJob(job.id, signal));
  const show = (jobs) => draw(list, jobs, cancel);
  const watch = watching(show, changed, signal);
  const begin = async (start) => {
    wrong.textContent = "";
    try {
      await watch(await start());
    } catch (error) {
      if (error.name !== "AbortError") wrong.textContent = error.message;
    }
  };
  const ways = [
    uploads ? uploadWay(begin, signal) : null,
    folders.length ? folderWay(folders, begin, signal) : null,
  ];
  show(jobs);
  if (jobs.some(isOpen)) watch().catch((error) => (wrong.textContent = error.message));
  const title = el("h2", {}, "Add videos");
  return el("section", { className: "adding", ariaLabel: "Add videos" }, title, ...ways, wrong, list);
}

const isOpen = (job) => !ENDED.includes(job.state);

// Looks at the jobs until none is left that may change.
function watching(show, changed, signal) {
  let timer = 0;
  let open = new Set();
  return async function look(begun = null) {
    clearTimeout(timer);
    // It may have ended before it is looked at for the first time.
    if (begun) open.add(begun.id);
    if (signal.aborted) return;
    const { jobs } = await api.jobs(signal);
    show(jobs);
    const now = new Set(jobs.filter(isOpen).map((job) => job.id));
    const ended = jobs.filter((job) => open.has(job.id) && !now.has(job.id));
    open = now;
    if (ended.length) {
      say(`Indexing ${ended[0].source}: ${WORDS[ended[0].state].toLowerCase()}`);
      changed();
    }
    // A look that fails is repeated: the job goes on without being looked at.
    if (now.size) timer = setTimeout(() => look().catch(() => (timer = setTimeout(look, 5 * PACE))), PACE);
  };
}

function uploadWay(begin, signal) {
  const input = el("input", { type: "file", id: "add", accept: "video/*,.mkv,.avi,.ts,.flv", multiple: true });
  const sent = el("progress", { max: 1, value: 0, hidden: true, ariaLabel: "Sent" });
  const label = el("label", { className: "drop takes-files" }, input, icon("drop"));
  const invitation = el("span", {}, el("b", {}, "Choose videos"), " or drop them here");
  label.append(invitation, el("small", {}, "They are kept and indexed."), sent);
  const send = (files) => {
    if (!files.length) return;
    sent.hidden = false;
    const told = (share) => (sent.value = share);
    begin(() => api.uploadVideos(files, told, signal).finally(() => (sent.hidden = true)));
  };
  input.addEventListener("change", () => {
    send([...input.files]);
    input.value = "";
  });
  for (const type of ["dragover", "dragleave", "drop"]) {
    label.addEventListener(type, (event) => {
      event.preventDefault();
      label.classList.toggle("over", type === "dragover");
      if (type === "drop") send([...event.dataTransfer.files]);
    });
  }
  return label;
}

function folderWay(folders, begin, signal) {
  const folder = el("select", { ariaLabel: "Folder" }, ...folders.map((name) => el("option", { value: name }, name)));
  const path = el("input", { type: "text", ariaLabel: "Path in the folder" });
  path.placeholder = "all of it, or a path in it";
  const start = el("button", { type: "submit", className: "primary" }, "Index");
  const form = el("form", { className: "folder" }, el("span", {}, "Folder"), folder, path, start);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin(() => api.indexFolder(folder.value, path.value.trim() || ".", signal));
  });
  return form;
}

function draw(list, jobs, cancel) {
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const shown = jobs.slice(0, SHOWN).map((job) => {
    const row = rows.get(job.id) ?? el("li", { data: { id: job.id } });
    // A row that says the same keeps its place for who is reading it, and its button the focus.
    const says = JSON.stringify(job);
    if (row.said !== says) row.replaceChildren(...parts(job, cancel, row));
    row.said = says;
    return row;
  });
  const others = shown.length !== list.children.length || shown.some((row, i) => list.children[i] !== row);
  if (others) list.replaceChildren(...shown);
}

function parts(job, cancel, row) {
  const { progress, report, error } = job;
  const state = el("span", { className: `state ${job.state}` }, WORDS[job.state]);
  const head = el("div", { className: "head" }, el("b", {}, job.source), state);
  const bar = isOpen(job) ? el("progress", { ariaLabel: `Indexing ${job.source}` }) : null;
  if (bar && progress?.total) Object.assign(bar, { max: progress.total, value: progress.done });
  const stop = isOpen(job) ? button("Cancel", () => cancel(job)) : null;
  const refused = report?.refused.length ? refusedOf(report, row.querySelector("details")?.open ?? false) : null;
  return [head, bar, el("p", {}, error ?? told(job)), refused, stop].filter(Boolean);
}

function refusedOf({ refused }, open) {
  const items = refused.map(failureItem);
  const summary = el("summary", {}, `${count(items.length, "file")} refused`);
  return el("details", { open }, summary, el("ul", { className: "failures" }, ...items));
}

function told({ state, progress, report }) {
  if (report) {
    const { indexed, unchanged, moved, removed } = report;
    const others = Object.entries({ unchanged, moved, removed }).filter(([, n]) => n > 0);
    const rest = others.map(([what, n]) => `${n} ${what}`);
    return [`${count(indexed, "video")} indexed`, ...rest, `in ${seconds(report.seconds)}`].join(", ");
  }
  if (state === "queued") return "Begins when the one before has ended.";
  if (state === "cancelled") return "Stopped before it began.";
  if (!progress) return "The model is being loaded.";
  const { done, total, file, clips_per_second: pace, seconds_left: left } = progress;
  const facts = [
    `${done} of ${count(total, "file")}`,
    pace ? `${pace.toFixed(1)} clips/s` : null,
    left === null ? null : `${seconds(left)} left`,
    file,
  ];
  return facts.filter(Boolean).join(" · ");
}
