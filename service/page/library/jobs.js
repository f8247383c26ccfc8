// Indexing jobs, each followed by the events of the service until it has ended.

import * as api from "../common/api.js";
import { el, seconds } from "../common/dom.js";
import { button } from "../common/messages.js";
import { t } from "../common/words.js";
import { failureItem } from "./failure.js";

const SHOWN = 5;
const ENDED = ["done", "failed", "cancelled"];
// Milliseconds after which a stream that has broken is begun again.
const AGAIN = 2000;

const isOpen = (job) => !ENDED.includes(job.state);

export class JobList {
  // `ended(job)`: one that was followed has ended; `failed(error)`: it could not be cancelled.
  constructor({ ended, failed, signal }) {
    Object.assign(this, { ended, failed, signal });
    this.node = el("ul", { className: "jobs", ariaLabel: t("job.list") });
    this.jobs = [];
    this.streams = new Map();
    signal.addEventListener("abort", () => this.streams.forEach((stream) => stream.close()));
  }

  show(jobs) {
    this.jobs = jobs;
    this.draw();
    jobs.filter(isOpen).forEach((job) => this.follow(job));
  }

  add(job) {
    this.jobs = [job, ...this.jobs.filter(({ id }) => id !== job.id)];
    this.draw();
    // It may have ended already; its events say so too.
    this.follow(job);
  }

  follow({ id }) {
    if (this.streams.has(id) || this.signal.aborted) return;
    const stream = api.jobEvents(id);
    this.streams.set(id, stream);
    stream.addEventListener("job", ({ data }) => this.heard(JSON.parse(data)));
    // The browser begins again by itself, except where the service answers with an error.
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      this.streams.delete(id);
      setTimeout(() => this.jobs.some((job) => job.id === id && isOpen(job)) && this.follow({ id }), AGAIN);
    });
  }

  heard(job) {
    this.jobs = this.jobs.map((other) => (other.id === job.id ? job : other));
    this.draw();
    if (isOpen(job)) return;
    this.streams.get(job.id)?.close();
    this.streams.delete(job.id);
    this.ended(job);
  }

  draw() {
    const rows = new Map([...this.node.children].map((row) => [row.dataset.id, row]));
    const shown = this.jobs.slice(0, SHOWN).map((job) => {
      const row = rows.get(job.id) ?? el("li", { data: { id: job.id } });
      // A row that says the same keeps its place for who is reading it, and its button the focus.
      const says = JSON.stringify(job);
      if (row.said !== says) row.replaceChildren(...this.parts(job, row));
      row.said = says;
      return row;
    });
    const others = shown.length !== this.node.children.length || shown.some((row, i) => this.node.children[i] !== row);
    if (others) this.node.replaceChildren(...shown);
  }

  parts(job, row) {
    const { progress, report, error } = job;
    const state = el("span", { className: `state ${job.state}` }, t(`job.${job.state}`));
    const head = el("div", { className: "head" }, el("b", {}, job.source), state);
    const bar = isOpen(job) ? el("progress", { ariaLabel: t("job.progress", { source: job.source }) }) : null;
    if (bar && progress?.total) Object.assign(bar, { max: progress.total, value: progress.done });
    const cancel = () => api.cancelJob(job.id).then((now) => this.heard(now), this.failed);
    const stop = isOpen(job) ? button(t("action.cancel"), cancel) : null;
    const refused = report?.refused.length ? refusedOf(report, row.querySelector("details")?.open ?? false) : null;
    return [head, bar, el("p", {}, error ?? progressLine(job)), refused, stop].filter(Boolean);
  }
}

function refusedOf({ refused }, open) {
  const items = refused.map(failureItem);
  const summary = el("summary", {}, t("count.refused", { n: items.length }));
  return el("details", { open }, summary, el("ul", { className: "failures" }, ...items));
}

function progressLine({ state, progress, report }) {
  if (report) {
    const { indexed, unchanged, moved, removed } = report;
    const others = Object.entries({ unchanged, moved, removed }).filter(([, n]) => n > 0);
    const rest = others.map(([what, n]) => t(`job.report.${what}`, { n }));
    return [t("job.report.indexed", { n: indexed, time: seconds(report.seconds) }), ...rest].join(", ");
  }
  if (state === "queued") return t("job.waiting");
  if (state === "cancelled") return t("job.neverBegan");
  if (!progress) return t("job.loading");
  const { done, total, file, clips_per_second: pace, seconds_left: left } = progress;
  const facts = [
    t("job.files", { done, n: total }),
    pace ? t("job.pace", { pace: pace.toFixed(1) }) : null,
    left === null ? null : t("job.left", { time: seconds(left) }),
    file,
  ];
  return facts.filter(Boolean).join(" · ");
}
