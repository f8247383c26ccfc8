// From the state of the page to what the service is asked (docs/api.md).

// A part that is not wanted counts a quarter of one that is (docs/search.md).
const NOT_WANTED = -0.25;
// Moments of a film that its row shows, and clips of it in the grid, where the first stands for the rest.
const MOMENTS = 6;

export function requestOf(state) {
  return { ...questionOf(state), ...presentationOf(state), ...filterOf(state), weights: state.weights };
}

// The same without what only the page needs: to be saved under a name.
export function savedRequestOf(state) {
  return { ...questionOf(state), ...filterOf(state), weights: state.weights };
}

export const isSequence = ({ parts }) => parts.some(({ role }) => role === "then");

// What is asked with an upload cannot be saved: the service does not keep uploads.
export const hasFile = ({ parts }) => parts.some(({ role }) => role === "file");

function questionOf({ q, parts, within }) {
  const moments = [[]];
  const reactions = { more: [], less: [] };
  for (const { role, value } of parts) {
    if (role in reactions) reactions[role].push(value);
    else {
      if (role === "then" && (q !== null || moments[0].length)) moments.push([]);
      moments.at(-1).push(partOf(role, value));
    }
  }
  const [first, ...later] = moments;
  const waiting = within === null ? {} : { within };
  return {
    ...(q !== null && { query: q }),
    ...(first.length && { parts: first }),
    ...(later.length && { then: later.map((own) => ({ parts: own, ...waiting })) }),
    ...(reactions.more.length && { more_like: reactions.more }),
    ...(reactions.less.length && { less_like: reactions.less }),
  };
}

function partOf(role, value) {
  if (role === "like") return { clip_id: value };
  if (role === "file") return { upload: value.upload };
  return role === "not" ? { text: value, weight: NOT_WANTED } : { text: value };
}

function presentationOf(state) {
  if (isSequence(state)) return {};
  const order = state.sort === null ? {} : { sort: state.sort };
  if (state.view === "films") return { ...order, group: "video", per_video: MOMENTS };
  return foldsAlike(state) ? { ...order, diverse: true, per_video: MOMENTS } : order;
}

// Whether hits that repeat a better one are left out. Of a single film everything is of interest.
export const foldsAlike = (state) =>
  !state.all && state.view !== "films" && !isSequence(state) && state.filters.video.length !== 1;

function filterOf({ filters }) {
  const { video, tag, from, to, path, after, before, shortest, longest, words, lang, text, newer, min } = {
    ...filters,
    path: filters.in,
  };
  const given = { start: from, end: to, path, after, before, shortest, longest, words, has_text: text, after_clip: newer };
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  if (video.length) filter.video_ids = video;
  if (tag.length) filter.tags = tag;
  if (lang.length) filter.languages = lang;
  return { ...(Object.keys(filter).length && { filter }), ...(min !== null && { min_score: min }) };
}

// The state that asks a saved question: the other way round.
export function stateOf({ query = null, parts = [], then = [], more_like: more = [], less_like: less = [], ...rest }) {
  const { min_score: min = null, weights = {} } = rest;
  const role = (name) => (value) => ({ role: name, value });
  const first = parts.map((part) => back(part));
  const later = then.flatMap(({ parts: [head, ...others] }) => [
    head.text ? { role: "then", value: head.text } : back(head),
    ...others.map(back),
  ]);
  return {
    tab: "clips",
    q: query,
    parts: [...first, ...later, ...more.map(role("more")), ...less.map(role("less"))],
    within: then[0]?.within ?? null,
    weights,
    filters: filtersOf(rest.filter ?? {}, min),
  };
}

function back({ text, clip_id: clip, weight = 1 }) {
  if (clip) return { role: "like", value: clip };
  return { role: weight < 0 ? "not" : "and", value: text };
}

function filtersOf(filter, min) {
  const { start: from = null, end: to = null, path = null, after = null, before = null } = filter;
  const { shortest = null, longest = null, words = null, has_text: text = null } = filter;
  // What is not filtered by is null in an answer.
  const [video, tag, lang] = ["video_ids", "tags", "languages"].map((name) => filter[name] ?? []);
  return { video, tag, lang, from, to, in: path, after, before, shortest, longest, words, text, newer: null, min };
}
