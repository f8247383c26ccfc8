// The service's API. Every failure is a Problem, whether the service answered or not.

import { at } from "./dom.js";
import { askForKey } from "./api_key.js";

export class Problem extends Error {
  constructor({ title, detail, request_id: requestId = "", status = 0, reason = null, type = "" }) {
    super(detail);
    Object.assign(this, { title, requestId, status, reason, type });
  }
}

const TRIES_WHILE_BUSY = 3;

async function call(path, options = {}, tries = TRIES_WHILE_BUSY) {
  let response;
  try {
    response = await fetch(at(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The service cannot be reached", detail: "Check that it is running, then try again." });
  }
  if (response.status === 401 && path !== "/v1/session" && (await askForKey())) return call(path, options, tries);
  if (response.status === 429 && tries > 1) {
    await pause(Number(response.headers.get("Retry-After")) || 1, options.signal);
    return call(path, options, tries - 1);
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Problem({
    title: `The service answered ${response.status}`,
    detail: response.statusText || "There is no more to say about it.",
    ...body,
    status: response.status,
  });
}

function pause(duration, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * duration);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

const post = (path, body, signal) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

export const library = (signal) => call("/v1/library", { signal });

export const clip = (clipId, signal) => call(`/v1/clips/${clipId}`, { signal });

export const clipsOf = (videoId, limit, signal) => call(`/v1/clips?video_id=${videoId}&limit=${limit}`, { signal });

export const video = (videoId, signal) => call(`/v1/videos/${videoId}`, { signal });

// `title`: words that their titles have; `clips`: how many clips of each are wanted with it.
export function videos({ title = "", offset = 0, limit, clips = 0 }, signal) {
  const wanted = new URLSearchParams({ q: title.slice(0, 200), offset, limit, first_clips: clips });
  return call(`/v1/videos?${wanted}`, { signal });
}

export const tags = (limit, signal) => call(`/v1/tags?limit=${limit}`, { signal });

export const failures = (offset, limit, signal) => call(`/v1/failures?offset=${offset}&limit=${limit}`, { signal });

// `wanted`: k, offset, weights, filter, min_score.
export const searchClips = (query, wanted, signal) => post("/v1/search/clips", { query, ...wanted }, signal);

export const similarClips = (clipId, wanted, signal) =>
  post("/v1/search/similar", { clip_id: clipId, ...wanted }, signal);

export const captionsOfClip = (clipId, wanted, signal) =>
  post("/v1/search/captions", { clip_id: clipId, ...wanted }, signal);

export function captionsOfFile(file, { weights, ...wanted }, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(wanted)) form.append(name, value);
  form.append("weights", JSON.stringify(weights));
  form.append("file", file);
  return call("/v1/search/captions/upload", { method: "POST", body: form, signal });
}

export const jobs = (signal) => call("/v1/jobs", { signal });

export const indexFolder = (folder, path, signal) => post("/v1/jobs", { folder, path }, signal);

export const cancelJob = (jobId, signal) => call(`/v1/jobs/${jobId}/cancel`, { method: "POST", signal });

// `told(share)` hears which part has been sent, which `fetch` does not say.
export function uploadVideos(files, told, signal) {
  const form = new FormData();
  for (const file of files) form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => event.lengthComputable && told(event.loaded / event.total));
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status < 400 && response) resolve(response);
      else {
        const title = `The service answered ${status}`;
        reject(new Problem({ title, detail: request.statusText, ...response, status }));
      }
    });
    request.addEventListener("error", () => {
      const detail = "Check that the service is running, then try again.";
      reject(new Problem({ title: "The upload has ended early", detail }));
    });
    signal.addEventListener("abort", () => request.abort());
    request.addEventListener("abort", () => reject(signal.reason));
    request.open("POST", at("/v1/jobs/upload"));
    request.send(form);
  });
}
