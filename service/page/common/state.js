// The state of the page and its address, which says all of it.
//
//   ?q=TEXT                        clips for a sentence
//   &and=TEXT &not=TEXT            more parts of the question, in this order
//   &then=TEXT &within=20          what has to be seen later, and at most how many seconds later
//   &like=CLIP &more=CLIP &less=CLIP  clips as parts; reactions to hits
//   &file=UPLOAD~NAME              an uploaded picture or video as a part
//   ?clip=CLIP                     captions for a clip
//   ?tab=captions|library          the other tabs
//   &view=films &sort=time|date &all=1   how hits are shown
//   &w=entity=2                    weights that are not the model's
//   &show=CLIP                     the viewer is open
//   &video= &tag= &in= &from= &to= &after= &before= &shortest= &longest= &words= &lang= &text= &newer=CLIP &min=   filters
//   &title=TEXT &order=title       videos of the library

import { HOME } from "./dom.js";
import { isLevel } from "./levels.js";

const id = (text) => (/^[1-9]\d{0,15}$/.test(text ?? "") ? Number(text) : null);
const number = (text) => (text === null || text === "" || !Number.isFinite(Number(text)) ? null : Number(text));
const atLeastNought = (text) => (number(text) >= 0 ? number(text) : null);
const trimmed = (text) => text?.trim().replace(/\s+/g, " ") || null;
const oneOf = (text, ...choices) => (choices.includes(text) ? text : null);
const day = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(Date.parse(text)) ? text : null);
const list = (text) => (text ?? "").split(",");

// Parts by the name that they have in an address, with what their values must be.
const PARTS = { and: trimmed, not: trimmed, then: trimmed, like: id, more: id, less: id, file: uploadOf };
export const ORDERS = ["added", "title", "date", "duration", "size"];

// Filters: how each is read off an address, and what it is if it is not there.
const FILTERS = {
  video: (text) => list(text).map(id).filter((video) => video !== null),
  tag: tagsOf,
  in: trimmed,
  from: atLeastNought,
  to: atLeastNought,
  after: day,
  before: day,
  shortest: atLeastNought,
  longest: atLeastNought,
  words: trimmed,
  lang: (text) => [...new Set(list(text).map((code) => code.trim().toLowerCase()))].filter((code) => /^[a-z]{2,3}$/.test(code)),
  text: (text) => ({ 1: true, 0: false })[text] ?? null,
  newer: atLeastNought,
  min: number,
};

export const NO_FILTERS = Object.fromEntries(Object.entries(FILTERS).map(([name, read]) => [name, read(null)]));

const isSet = (value) => value !== null && !(Array.isArray(value) && value.length === 0);

// How many filters are on.
export const filtersIn = (filters) => Object.values(filters).filter(isSet).length;

const START = {
  tab: "clips",
  q: null,
  parts: [],
  within: null,
  clip: null,
  show: null,
  view: null,
  sort: null,
  all: false,
  weights: {},
  filters: NO_FILTERS,
  title: null,
  order: null,
};

// The state of an address. What cannot be understood is left out.
export function parse(search) {
  const given = new URLSearchParams(search);
  const tab = given.get("tab");
  const clip = id(given.get("clip"));
  return {
    ...START,
    tab: clip !== null || tab === "captions" ? "captions" : tab === "library" ? "library" : "clips",
    q: trimmed(given.get("q")),
    parts: partsOf(given),
    within: atLeastNought(given.get("within")),
    clip,
    show: id(given.get("show")),
    view: oneOf(given.get("view"), "films"),
    sort: oneOf(given.get("sort"), "time", "date"),
    all: given.get("all") === "1",
    weights: weightsOf(given.get("w") ?? ""),
    filters: Object.fromEntries(Object.entries(FILTERS).map(([name, read]) => [name, read(given.get(name))])),
    title: trimmed(given.get("title")),
    order: oneOf(given.get("order"), ...ORDERS),
  };
}

function partsOf(given) {
  const found = [...given].map(([role, text]) => ({ role, value: PARTS[role]?.(text) ?? null }));
  return found.filter(({ value }) => value !== null);
}

function uploadOf(text) {
  const [upload, ...name] = text.split("~");
  return /^[\w-]{1,64}$/.test(upload) ? { upload, name: name.join("~") } : null;
}

// As the service writes tags (indexer/search/filters.py).
function tagsOf(text) {
  const tags = list(text).map((tag) => tag.trim().replace(/\s+/g, " ").toLowerCase());
  return [...new Set(tags)].filter((tag) => /[\p{L}\p{N}]/u.test(tag));
}

function weightsOf(text) {
  const pairs = text.split(",").map((pair) => pair.split("="));
  return Object.fromEntries(
    pairs
      .filter(([level, weight]) => isLevel(level) && atLeastNought(weight ?? null) !== null)
      .map(([level, weight]) => [level, Number(weight)]),
  );
}

// The address of a state; what is not given is as on the start page.
export function href(state) {
  const { tab, q, parts, within, clip, show, view, sort, all, weights, filters, title, order } = { ...START, ...state };
  const address = new URLSearchParams();
  const put = (name, value) => isSet(value) && value !== "" && address.set(name, value);
  if (tab === "clips") {
    put("q", q);
    for (const { role, value } of parts) address.append(role, role === "file" ? `${value.upload}~${value.name}` : value);
    put("within", within);
    put("view", view);
    put("sort", sort);
    if (all) put("all", 1);
  } else if (clip === null) put("tab", tab);
  else put("clip", clip);
  put("w", Object.entries(weights).map(([level, weight]) => `${level}=${weight}`).join(","));
  for (const [name, value] of Object.entries(filters)) put(name, typeof value === "boolean" ? Number(value) : value);
  if (tab === "library") {
    put("title", title);
    put("order", order);
  }
  put("show", show);
  return address.size ? `${HOME}?${address}` : HOME;
}

// What the hits are for, however they are weighed, shown and filtered.
export const subjectOf = ({ tab, q, parts, clip, view }) => JSON.stringify([tab, q, parts, clip, view]);

// Whether a state asks for clips.
export const asksForClips = ({ q, parts }) => q !== null || parts.length > 0;
