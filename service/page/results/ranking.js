// A ranked list on the page: asks for it, shows it, asks for more of it, and reorders it while weights move.

import { deepen, depth } from "../common/address.js";
import { count, el } from "../common/dom.js";
import { learnLevels } from "../common/levels.js";
import { busy, button, problem, say, show, waiting } from "../common/messages.js";
import { reranked } from "./fusion.js";

// The service counts no further, and gives no more at a time (quartet/schemas/search.py).
const DEEPEST = 1000;
const MOST = 100;

export class Ranking {
  // `makeCards()`: an empty list of cards; `word`: what a hit is called; `size`: how many to ask for at a time.
  constructor(makeCards, word, size) {
    Object.assign(this, { makeCards, word, size });
    this.forget();
  }

  forget() {
    this.answer = null;
    this.cards = this.makeCards();
  }

  // `page(wanted, signal)` asks the service; `context` is handed to the cards; `empty()` is what to say of no hits.
  async ask({ page, context, empty }, signal) {
    this.page = page;
    this.signal = signal;
    busy(true);
    if (!this.cards.node.isConnected) {
      this.forget();
      show(waiting(this.cards.node.className));
      say("Searching…");
    }
    const wanted = Math.max(this.size, depth());
    const answer = await this.first(wanted, signal);
    learnLevels(answer.weights);
    this.answer = answer;
    this.context = { ...context, read: answer.query_attributes ?? null, unknown: answer.unknown ?? null };
    this.complete = answer.hits.length < wanted;
    busy(false);
    if (!answer.hits.length) {
      this.cards = this.makeCards();
      show(empty());
      say(`No ${this.word} found`);
      return answer;
    }
    this.draw(answer.hits);
    say(this.told());
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
    const known = new Set(answer.hits.map(this.cards.idOf));
    const fresh = next.hits.filter((hit) => !known.has(this.cards.idOf(hit)));
    return { ...answer, hits: [...answer.hits, ...fresh], exact: answer.exact && next.exact };
  }

  draw(hits) {
    this.cards.show(hits, this.context);
    if (!this.cards.node.isConnected || !this.foot?.isConnected) {
      this.foot = el("div", { className: "row more" });
      show(this.cards.node, this.foot);
    }
    const more = button(`More ${this.word}s`, () => this.more(), "ghost more");
    this.foot.replaceChildren(...(this.complete || this.answer.hits.length + this.size > DEEPEST ? [] : [more]));
  }

  async more() {
    const [button] = this.foot.children;
    button.disabled = true;
    const { answer, signal } = this;
    try {
      const next = await this.page({ k: this.size, offset: answer.hits.length }, signal);
      if (answer !== this.answer) return;
      this.complete = next.hits.length < this.size;
      this.answer = this.joined(answer, next);
      this.draw(this.answer.hits);
      deepen(answer.hits.length + this.size);
      say(this.told());
      this.cards.node.children[answer.hits.length]?.querySelector("a")?.focus({ preventScroll: true });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.foot.replaceChildren(problem(error, () => this.more()));
    }
  }

  // The hits that are here, in the order that `weights` give them; the answer of the service follows.
  preview(weights) {
    const hits = this.answer?.hits.length && this.cards.node.isConnected ? reranked(this.answer, weights) : null;
    if (hits) this.cards.show(hits, this.context);
  }

  hit(id) {
    return this.answer?.hits.find((hit) => this.cards.idOf(hit) === id) ?? null;
  }

  told() {
    const { exact, took_ms: took, hits, notes = [] } = this.answer;
    const total = took.encode + took.search + took.hydrate;
    const time = `${total.toFixed(total < 10 ? 1 : 0)} ms`;
    return [`Best ${count(hits.length, this.word)} in ${time}, ${exact ? "exact" : "approximate"}`, ...notes].join(". ");
  }
}
