// Questions that were asked in this browser, the latest first.

import { OWN } from "../common/dom.js";
import { asksForClips } from "../common/state.js";
import { set, setting } from "../common/settings.js";
import { hasFile } from "./request.js";

const KEPT = 8;

// [{q, parts}, ...]
export const recent = () => setting(`recent${OWN}`) ?? [];

export function remember({ q, parts }) {
  // Uploads last no longer than the service.
  if (!asksForClips({ q, parts }) || hasFile({ parts })) return;
  const said = JSON.stringify({ q, parts });
  const others = recent().filter((one) => JSON.stringify({ q: one.q, parts: one.parts }) !== said);
  // What was on its way to this sentence while it was typed is no question of its own.
  if (others.length && isBeginning(others[0], { q, parts })) others.shift();
  set(`recent${OWN}`, [{ q, parts }, ...others].slice(0, KEPT));
}

export const forget = () => set(`recent${OWN}`, null);

function isBeginning(earlier, later) {
  if (JSON.stringify(earlier.parts) !== JSON.stringify(later.parts) || !earlier.q || !later.q) return false;
  return later.q.startsWith(earlier.q) || earlier.q.startsWith(later.q);
}
