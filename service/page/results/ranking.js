// A ranked list on the page: asks for it, shows it, asks for more of it, and reorders it while weights move.

import { deepen, depth } from "../common/address.js";
import { el } from "../common/dom.js";
import { learnLevels } from "../common/levels.js";
import { busy, button, problem, say, show, waiting } from "../common/messages.js";
import { number, t } from "../common/words.js";
import { reranked } from "./fusion.js";

// The service counts no further, and gives no more at a time (quartet/schemas/search.py).
const DEEPEST = 1000;
const MOST = 100;

export class Ranking {
  // `makeList(reached)`: an empty list that calls `reached()` when its end comes into sight; `kind`: clips, films or
  // captions; `size`: how many to ask for at a time.
  constructor(makeList, kind, size) {
    Object.assign(this, { makeList, kind, size });
    this.forget();
  }

  forget() {
    this.list?.close();
    this.answer = null;
    this.list = this.makeList(() => this.reached());
  }

  // `page(wanted, signal)` asks the service; `empty()` is what to say of no hits.
  async ask({ page, state, empty }, signal) {
    Object.assign(this, { page, signal, state });
    busy(true);
    if (!this.list.node.isConnected) {
      this.forget();
      show(waiting(this.list.node.classList.contains("sentences") ? "sentences" : "grid"));
      say(t("results.searching"));
    }
    const wanted = Math.max(this.size, depth());
    const answer = await this.first(wanted, signal);
    learnLevels(answer.weights);
    this.answer = answer;
    this.complete = answer.hits.length < wanted;
    busy(false);
    if (!answer.hits.length) {
      this.forget();
      show(empty());
      say(t(`results.none.${this.kind}`));
      return answer;
    }
    this.draw(answer.hits);
    say(this.summary());
    return answer;
  }

  // As many hits as there were: a list that has grown stays as long under other weights.
  async first(wanted, signal) {
    const offsets = Array.from({ length: Math.ceil(wanted / MOST) }, (_, i) => i * MOST);
    const pages = offsets.map((offset) => this.page({ k: Math.min(MOST, wanted - offset), offset }, signal));
    return (await Promise.all(pages)).reduce((answer, next) => this.joined(answer, next));
  }

  joined(answer, next) {
    // A new generation between the two answers can bring a hit again.
    const known = new Set(answer.hits.map(this.list.idOf));
    const fresh = next.hits.filter((hit) => !known.has(this.list.idOf(hit)));
    return { ...answer, hits: [...answer.hits, ...fresh], exact: answer.exact && next.exact };
  }

  draw(hits) {
    if (!this.list.node.isConnected || !this.foot?.isConnected) {
      this.foot = el("div", { className: "row more" });
      show(this.list.node, this.foot);
    }
    const more = button(t(`results.more.${this.kind}`), () => this.more(true), "ghost more");
    this.foot.replaceChildren(...(this.ends() ? [] : [more]));
    this.list.show(hits, this.answer, this.state);
  }

  ends() {
    return this.complete || this.answer.hits.length + this.size > DEEPEST;
  }

  // Who scrolls to the end gets more of the list.
  reached() {
    if (this.answer && !this.growing && !this.ends() && !this.foot.querySelector(".bad")) this.more(false);
  }

  // `focus`: whether the keyboard goes on from the first new one.
  async more(focus) {
    if (this.growing) return;
    this.growing = true;
    const { answer, signal } = this;
    const before = answer.hits.length;
    try {
      const next = await this.page({ k: this.size, offset: before }, signal);
      if (answer !== this.answer) return;
      this.complete = next.hits.length < this.size;
      this.answer = this.joined(answer, next);
      deepen(before + this.size);
      this.growing = false;
      this.draw(this.answer.hits);
      say(this.summary());
      if (focus) this.list.focus(before);
    } catch (error) {
      if (error.name !== "AbortError") this.foot.replaceChildren(problem(error, () => this.more(focus)));
    } finally {
      this.growing = false;
    }
  }

  // The hits that are here, in the order that `weights` give them; the answer of the service follows.
  preview(weights) {
    const here = this.answer?.hits.length && this.list.node.isConnected && this.kind !== "films";
    const hits = here ? reranked(this.answer, weights) : null;
    if (hits) this.list.show(hits, this.answer, this.state);
  }

  // What the viewer steps through: [{clipId, hit}, ...].
  steps() {
    return this.answer ? this.list.steps() : [];
  }

  summary() {
    const { exact, took_ms: took, hits, notes = [] } = this.answer;
    const total = took.encode + took.search + took.hydrate;
    const time = t("results.time", { ms: number(Number(total.toFixed(total < 10 ? 1 : 0))) });
    const top = t(`results.top.${this.kind}`, { n: hits.length, time });
    return [exact ? top : `${top}, ${t("results.approximate")}`, ...notes].join(". ");
  }
}
