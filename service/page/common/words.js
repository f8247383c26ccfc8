// The texts of the page in the reader's language. A language is a file of languages/: the server puts the English one
// into the constant ENGLISH and the names of all into LANGUAGES (service/http/pages/page_bundle.py); another is fetched before
// anything is drawn. What a language lacks is said in English.

import { setting, set } from "./settings.js";

const preferred = navigator.languages.map((tag) => tag.split("-")[0]);

export const language = [setting("language"), ...preferred].find((code) => code in LANGUAGES) ?? "en";

// [code, name] of every language.
export const languages = Object.entries(LANGUAGES);

async function own() {
  if (language === "en") return {};
  const answer = await fetch(new URL(`languages/${language}.json`, import.meta.url)).catch(() => null);
  return answer?.ok ? answer.json() : {};
}

const table = { ...ENGLISH, ...(await own()) };
const plural = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);

export const number = (value) => numbers.format(value);

const days = new Intl.DateTimeFormat(language, { dateStyle: "medium" });

export const day = (text) => days.format(new Date(text));

export const known = (key) => key in table;

// The text of a key. Numbers among the values are written as the language does; `n` decides between one and many.
export function t(key, values = {}) {
  let text = table[key];
  if (text === undefined) throw new Error(`The page has no text ${key}.`);
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name]));
}

// Texts of index.html: data-t is the key of its text, data-t-label of its name, data-t-hint of its placeholder.
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.ariaLabel = t(node.dataset.tLabel);
  for (const node of root.querySelectorAll("[data-t-hint]")) node.placeholder = t(node.dataset.tHint);
}

export function speak(code) {
  set("language", code);
  location.reload();
}
