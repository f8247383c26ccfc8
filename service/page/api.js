// The service's API. Every failure is a Problem, whether the service answered or not.

export class Problem extends Error {
  constructor({ title, detail, request_id: requestId = "", status = 0 }) {
    super(detail);
    Object.assign(this, { title, requestId, status });
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The service cannot be reached", detail: "Check that it is running, then try again." });
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Problem(body ?? { title: `The service answered ${response.status}`, detail: response.statusText });
}

const post = (path, body, signal) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

export const library = () => call("/v1/library");

export const clip = (clipId, signal) => call(`/v1/clips/${clipId}`, { signal });

export const searchClips = (query, k, weights, signal) => post("/v1/search/clips", { query, k, weights }, signal);

export const captionsOfClip = (clipId, k, weights, signal) =>
  post("/v1/search/captions", { clip_id: clipId, k, weights }, signal);

export function captionsOfFile(file, k, weights, signal) {
  const form = new FormData();
  form.append("k", k);
  form.append("weights", JSON.stringify(weights));
  form.append("file", file);
  return call("/v1/search/captions", { method: "POST", body: form, signal });
}
