// The service's API. Every failure is a Problem, whether the service answered or not.

import { askForKey } from "./api_key.js";
import { at, byId } from "./dom.js";
import { t } from "./words.js";

export class Problem extends Error {
  constructor({ title, detail, request_id: requestId = "", status = 0, reason = null, type = "" }) {
    super(detail);
    Object.assign(this, { title, requestId, status, reason, type });
  }
}

const TRIES_WHILE_BUSY = 3;
// A service that starts loads its model and its library: that may take minutes.
const TRIES_WHILE_STARTING = 180;

async function call(path, options = {}, tries = { busy: TRIES_WHILE_BUSY, starting: TRIES_WHILE_STARTING }) {
  let response;
  try {
    response = await fetch(at(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.status === 401 && path !== "/v1/session" && (await askForKey())) return call(path, options, tries);
  const wait = Number(response.headers.get("Retry-After"));
  if (response.status === 429 && tries.busy > 1) {
    await pause(wait || 1, options.signal);
    return call(path, options, { ...tries, busy: tries.busy - 1 });
  }
  const body = response.status === 204 ? null : await bodyOf(response);
  if (response.status === 503 && wait && body?.type?.endsWith("#not-ready") && tries.starting > 1) {
    byId("starting").hidden = false;
    await pause(wait, options.signal);
    return call(path, options, { ...tries, starting: tries.starting - 1 });
  }
  byId("starting").hidden = true;
  if (response.ok) return body;
  throw refusal(response, body);
}

// A refusal without JSON is a proxy's; an answer without JSON was cut off on its way. A request that the page itself
// gives up may end here too, half read.
async function bodyOf(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.ok) throw unreachable();
    return null;
  }
}

const refusal = ({ status, statusText }, body) =>
  new Problem({
    title: t("error.status", { status: String(status) }),
    detail: statusText || t("error.status.detail"),
    ...body,
    status,
  });

const problemOf = async (response) => refusal(response, await bodyOf(response));

const unreachable = () => new Problem({ title: t("error.unreachable"), detail: t("error.unreachable.detail") });

export function pause(duration, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * duration);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

const send = (method, path, body, signal) =>
  call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

const post = (path, body, signal) => send("POST", path, body, signal);

export const library = (signal) => call("/v1/library", { signal });

const clips = new Map();

// A clip never changes; another file makes other clips.
export async function clip(clipId, signal) {
  if (!clips.has(clipId)) clips.set(clipId, await call(`/v1/clips/${clipId}`, { signal }));
  return clips.get(clipId);
}

// The clip for any browser, as the address of a blob. While another is made, it is asked for again.
export async function proxyOf(clipId, signal) {
  for (;;) {
    const answer = await fetch(at(`/v1/clips/${clipId}/proxy`), { signal });
    if (answer.ok) return URL.createObjectURL(await answer.blob());
    if (answer.status !== 429) throw await problemOf(answer);
    await pause(Number(answer.headers.get("Retry-After")) || 1, signal);
  }
}

export const clipsOf = (videoId, limit, signal) => call(`/v1/clips?video_id=${videoId}&limit=${limit}`, { signal });

export const someClips = (limit, signal) => call(`/v1/clips?limit=${limit}`, { signal });

export const video = (videoId, signal) => call(`/v1/videos/${videoId}`, { signal });

export const textsOf = (videoId, limit, signal) => call(`/v1/videos/${videoId}/texts?limit=${limit}`, { signal });

// `wanted`: title (words that their titles have), offset, limit, clips (how many of each are wanted with it), sort, tag,
// path, ids.
export function videos({ title = "", offset = 0, limit, clips = 0, sort = "added", tag = [], path, ids = [] }, signal) {
  const wanted = new URLSearchParams({ q: title.slice(0, 200), offset, limit, first_clips: clips, sort });
  for (const one of tag) wanted.append("tag", one);
  for (const one of ids) wanted.append("video_id", one);
  if (path) wanted.set("path", path);
  return call(`/v1/videos?${wanted}`, { signal });
}

export const tagVideos = (ids, add, remove) => post("/v1/videos/tags", { video_ids: ids, add, remove });

export const deleteVideos = (ids) => call(`/v1/videos?${ids.map((id) => `video_id=${id}`).join("&")}`, { method: "DELETE" });

export const tags = (limit, signal) => call(`/v1/tags?limit=${limit}`, { signal });

export const folders = (limit, signal) => call(`/v1/folders?limit=${limit}`, { signal });

export const failures = (offset, limit, signal) => call(`/v1/failures?offset=${offset}&limit=${limit}`, { signal });

// `wanted`: question, k, offset, weights, filter, min_score (question/request.js).
export const searchClips = (wanted, signal) => post("/v1/search/clips", wanted, signal);

export const captionsOfClip = (clipId, wanted, signal) =>
  post("/v1/search/captions", { clip_id: clipId, ...wanted }, signal);

export function captionsOfFile(file, { weights, ...wanted }, signal) {
  const form = formOf({ ...wanted, weights: JSON.stringify(weights), file });
  return call("/v1/search/captions/upload", { method: "POST", body: form, signal });
}

export const uploadExample = (file, signal) =>
  call("/v1/search/uploads", { method: "POST", body: formOf({ file }), signal });

export const savedSearches = (signal) => call("/v1/searches", { signal });

export const saveSearch = (name, request) => send("PUT", `/v1/searches/${encodeURIComponent(name)}`, request);

export const markSeen = (name) => call(`/v1/searches/${encodeURIComponent(name)}/seen`, { method: "POST" });

export const forgetSearch = (name) => call(`/v1/searches/${encodeURIComponent(name)}`, { method: "DELETE" });

// Clips as a file to keep: csv, m3u8, otio, edl or fcpxml.
export async function listFile(clipIds, format) {
  const body = JSON.stringify({ clip_ids: clipIds, format });
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  const answer = await fetch(at("/v1/clips/list"), options).catch(() => Promise.reject(unreachable()));
  if (answer.ok) return answer.blob();
  throw await problemOf(answer);
}

export const jobs = (signal) => call("/v1/jobs", { signal });

// Events `job`, one whenever it has changed.
export const jobEvents = (jobId) => new EventSource(at(`/v1/jobs/${jobId}/events`));

export const indexFolder = (folder, path, signal) => post("/v1/jobs", { folder, path }, signal);

export const cancelJob = (jobId, signal) => call(`/v1/jobs/${jobId}/cancel`, { method: "POST", signal });

// Uploads in pieces (tus 1.0).
const TUS = { "Tus-Resumable": "1.0.0" };

// `btoa` takes bytes; a name has any characters.
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export function createUpload({ name, size }, signal) {
  const headers = { ...TUS, "Upload-Length": size, "Upload-Metadata": `filename ${base64(name)}` };
  return call("/v1/uploads", { method: "POST", headers, signal });
}

export const storedUpload = (uploadId, signal) => call(`/v1/uploads/${uploadId}`, { headers: TUS, signal });

export function sendPiece(uploadId, offset, body, signal) {
  const headers = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": offset };
  return call(`/v1/uploads/${uploadId}`, { method: "PATCH", headers, body, signal });
}

export const deleteUpload = (uploadId) => call(`/v1/uploads/${uploadId}`, { method: "DELETE", headers: TUS });

// Asked again after a break, it is the same job.
export const indexUploads = (ids, signal) => post("/v1/uploads/job", { uploads: ids }, signal);

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}
