// A search with the types that openapi-typescript makes: node search.js URL KEY

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const [url = "", key = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });

const { data, error } = await client.POST("/v1/search/clips", { body: { query: "a red square sliding", k: 3 } });
if (!data) throw new Error(error.detail);
const shares = data.hits.map((hit) => Object.values(hit.levels).reduce((sum, level) => sum + level.contribution, 0));
if (data.hits.length !== 3 || data.hits.some((hit, i) => Math.abs(hit.score - (shares[i] ?? 0)) > 1e-6)) {
  throw new Error("The levels do not sum to the scores.");
}

const refused = await client.GET("/v1/clips/{clip_id}", { params: { path: { clip_id: 4711 } } });
if (refused.error?.status !== 404) throw new Error("A clip that is not there is no problem.");
console.log(data.hits[0]?.title);
