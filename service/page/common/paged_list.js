// A long list, a page at a time, with a button for the next one.

import { el } from "./dom.js";
import { button, problem } from "./messages.js";
import { t } from "./words.js";

// `load(offset)` gives {total, items}; `draw(item)` a node. Returns the place of the list, filled with its first page.
export async function paged({ load, draw, className, label }) {
  const list = el("ul", { className, ariaLabel: label });
  const foot = el("div", { className: "row more" });
  const node = el("div", {}, list, foot);
  const extend = async () => {
    const at = list.children.length;
    const { total, items } = await load(at);
    list.append(...items.map(draw));
    const left = total - list.children.length;
    foot.replaceChildren(...(left > 0 && items.length ? [button(t("action.more", { count: left }), next)] : []));
    if (at) list.children[at]?.querySelector("a, button, input")?.focus({ preventScroll: true });
  };
  const failed = (error) => error.name !== "AbortError" && foot.replaceChildren(problem(error, next));
  const next = () => extend().catch(failed);
  await extend();
  return node;
}
