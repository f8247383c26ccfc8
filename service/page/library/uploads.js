// Videos on their way to the service, in pieces. After a break an upload continues where it ended, also after the page was
// closed, if the same file is chosen again.

import * as api from "../common/api.js";
import { OWN, bytes, el } from "../common/dom.js";
import { button } from "../common/messages.js";
import { set, setting } from "../common/settings.js";
import { t } from "../common/words.js";

// Bytes of a piece: the first has the fewest, and the next ones more until one takes so many milliseconds.
const LEAST = 2 ** 18;
const MOST = 2 ** 23;
const PACE = 500;
// Seconds until the next try after a break; the last ones repeat.
const WAITS = [1, 2, 5, 10, 30];
// Files of one job.
const FILES = 100;
const NAMES = 3;

// Uploads that continue whatever the page shows. `begun(job)` is called when one is complete.
export class UploadList {
  node = el("ul", { className: "jobs", ariaLabel: t("upload.list") });
  begun = () => {};
  last = Promise.resolve();
  open = 0;

  constructor() {
    addEventListener("beforeunload", (event) => this.open && event.preventDefault());
  }

  // One after the other: two would only share the connection.
  send(files) {
    if (!files.length) return;
    const batch = new Batch(files, (job) => this.begun(job));
    this.node.append(batch.node);
    this.open += 1;
    this.last = this.last.then(() => batch.run()).finally(() => (this.open -= 1));
  }
}

class Batch {
  breaks = 0;
  earlier = 0;
  ids = [];
  leaving = new AbortController();
  state = el("p", { role: "status" }, t("upload.waiting"));

  constructor(files, begun) {
    Object.assign(this, { files, begun, size: files.reduce((sum, { size }) => sum + size, 0) });
    const names = files.slice(0, NAMES).map(({ name }) => name).join(", ");
    const source = files.length > NAMES ? t("upload.more", { names, n: files.length - NAMES }) : names;
    this.bar = el("progress", { max: this.size || 1, value: 0, ariaLabel: t("upload.progress", { source }) });
    this.stop = button(t("action.cancel"), () => this.leaving.abort());
    this.node = el("li", {}, el("div", { className: "head" }, el("b", {}, source)), this.bar, this.state, this.stop);
  }

  async run() {
    const { signal } = this.leaving;
    try {
      signal.throwIfAborted();
      for (const file of this.files) await this.send(file).catch((error) => this.refuse(file, error));
      while (this.ids.length) {
        const ids = this.ids.slice(0, FILES);
        this.begun(await this.insist(() => api.indexUploads(ids, signal)));
        this.ids = this.ids.slice(ids.length);
      }
    } catch (error) {
      if (error.name !== "AbortError") this.wrong(error.message);
    }
    for (const id of this.ids) api.deleteUpload(id).catch(() => {});
    for (const file of this.files) remember(file, null);
    if (this.node.querySelector(".wrong") === null) return this.node.remove();
    this.bar.remove();
    this.state.remove();
    this.stop.replaceWith(button(t("action.close"), () => this.node.remove()));
  }

  async send(file) {
    const { signal } = this.leaving;
    const { id } = await this.insist(() => begunUpload(file, signal));
    remember(file, id);
    try {
      await this.insist(() => this.sendRest(file, id));
    } catch (error) {
      api.deleteUpload(id).catch(() => {});
      throw error;
    }
    this.ids.push(id);
    this.earlier += file.size;
  }

  async sendRest(file, id) {
    const { signal } = this.leaving;
    let { received } = await api.storedUpload(id, signal);
    let length = LEAST;
    this.show(received);
    while (received < file.size) {
      const piece = file.slice(received, received + length);
      const began = performance.now();
      await api.sendPiece(id, received, piece, signal);
      received += piece.size;
      this.show(received);
      this.breaks = 0;
      length = performance.now() - began < PACE ? Math.min(2 * length, MOST) : Math.max(length / 2, LEAST);
    }
  }

  // What `ask` gives, however often the connection breaks.
  async insist(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!passes(error)) throw error;
        this.state.textContent = t("upload.broken", this.share);
        await api.pause(WAITS[Math.min(this.breaks, WAITS.length - 1)], this.leaving.signal);
        this.breaks += 1;
      }
    }
  }

  get share() {
    return { sent: bytes(this.bar.value), size: bytes(this.size) };
  }

  show(received) {
    this.bar.value = this.earlier + received;
    this.state.textContent = t("upload.sent", this.share);
  }

  // A file that cannot be taken does not stop the others.
  refuse(file, error) {
    if (error.name === "AbortError") throw error;
    this.earlier += file.size;
    this.wrong(`${file.name}: ${error.message}`);
  }

  wrong(text) {
    this.node.append(el("p", { className: "wrong", role: "alert" }, text));
  }
}

// Nobody answered, the service is busy or starting, or it has not yet noticed that the previous request broke.
const passes = ({ status }) => [0, 408, 409, 429, 502, 503, 504].includes(status);

async function begunUpload(file, signal) {
  const id = setting(`uploads${OWN}`)?.[keyOf(file)];
  if (id === undefined) return api.createUpload(file, signal);
  return api.storedUpload(id, signal).catch((error) => {
    if (error.status !== 404) throw error;
    return api.createUpload(file, signal);
  });
}

const keyOf = ({ name, size, lastModified }) => `${name} ${size} ${lastModified}`;

function remember(file, id) {
  const { [keyOf(file)]: _, ...others } = setting(`uploads${OWN}`) ?? {};
  set(`uploads${OWN}`, id === null ? others : { ...others, [keyOf(file)]: id });
}
