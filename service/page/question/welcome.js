// The first visit: what can be asked, by three examples of this very library, and what the levels are.

import { at, byId, el } from "../common/dom.js";
import * as api from "../common/api.js";
import { meaningOf, titleOf } from "../common/levels.js";
import { href } from "../common/state.js";
import { t } from "../common/words.js";

const EXAMPLES = 3;

// `library`: what GET /v1/library says. Examples keep the filters that are on.
export async function welcome({ examples, example_clips: clips, levels, counts }, filters) {
  byId("legend").replaceChildren(
    ...levels.map(({ name }) => el("div", { data: { level: name } }, el("dt", {}, titleOf(name)), el("dd", {}, meaningOf(name)))),
  );
  const told = examples.slice(0, EXAMPLES).map((text, i) => ({ text, clip: clips[i], state: { q: text } }));
  const shown = told.length || !counts.clips ? told : await likeClips();
  byId("examples").replaceChildren(...shown.map((example) => item(example, filters)));
  byId("examples-title").hidden = shown.length === 0;
}

// A library without captions shows clips to begin from.
async function likeClips() {
  const { items } = await api.someClips(EXAMPLES);
  return items.map(({ clip_id: clip, title }) => ({
    text: t("hit.similarTo", { title }),
    clip,
    state: { parts: [{ role: "like", value: clip }] },
  }));
}

function item({ text, clip, state }, filters) {
  const picture = el("img", { src: at(`/v1/clips/${clip}/thumbnail`), alt: "", decoding: "async" });
  return el("li", {}, el("a", { href: href({ ...state, filters }) }, picture, el("span", {}, text)));
}
