// The text at the time of a hit, with the words that were asked for marked.

import { clock, el } from "../common/dom.js";

// Characters before the first mark that a card of one line has room for.
const LEAD = 16;

// A quotation of a hit's line; null where it has none. `short`: it begins a few words before the first mark.
export function quotation({ line }, short = false) {
  if (!line) return null;
  const when = line.start === null ? null : el("time", {}, clock(line.start));
  const about = line.language ? `${line.source} (${line.language})` : line.source;
  return el("blockquote", { className: "told", title: about }, when, when && " ", ...marked(short ? fromFirstMark(line) : line));
}

function fromFirstMark({ text, marks }) {
  const characters = [...text];
  const first = marks[0]?.[0] ?? 0;
  if (first <= LEAD) return { text, marks };
  const start = Math.min(characters.indexOf(" ", first - LEAD) + 1 || first, first);
  const lead = "… ";
  const shifted = marks.map(([from, to]) => [from - start + lead.length, to - start + lead.length]);
  return { text: lead + characters.slice(start).join(""), marks: shifted };
}

// Marks count in characters, of which JavaScript may need two units for one.
function marked({ text, marks }) {
  const characters = [...text];
  const part = (from, to) => characters.slice(from, to).join("");
  const pieces = [];
  let at = 0;
  for (const [from, to] of marks) {
    if (from < at) continue;
    pieces.push(part(at, from), el("mark", {}, part(from, to)));
    at = to;
  }
  return [...pieces, part(at)];
}

// The second at which a hit is to be played: where its line begins, or where it does.
export function cue(clip, hit) {
  const second = hit?.line?.start ?? null;
  return second !== null && second > clip.start && second < clip.end ? second : clip.start;
}
