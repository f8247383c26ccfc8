// Asks for the API key when the service wants one. The service keeps it in a cookie until the browser is closed,
// because pictures and videos cannot carry a header; no script can read it.

import { at, byId } from "./dom.js";
import { t } from "./words.js";

let asking = null;

// Resolves to whether the key was given. Requests that are refused together ask once.
export function askForKey() {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

function ask() {
  const [dialog, input, wrong] = [byId("key"), byId("key-input"), byId("key-wrong")];
  const form = dialog.querySelector("form");
  wrong.textContent = input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const done = new AbortController();
    const { signal } = done;
    const finish = (given) => {
      done.abort();
      dialog.close();
      resolve(given);
    };
    form.addEventListener(
      "submit",
      async (event) => {
        event.preventDefault();
        const problem = await logIn(input.value);
        if (problem === null) return finish(true);
        wrong.textContent = problem;
        input.select();
      },
      { signal },
    );
    byId("key-cancel").addEventListener("click", () => finish(false), { signal });
    dialog.addEventListener("cancel", () => finish(false), { signal });
  });
}

// What is wrong with the key, or null.
async function logIn(key) {
  try {
    const response = await fetch(at("/v1/session"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: key.trim() }),
    });
    return response.ok ? null : ((await response.json()).detail ?? t("key.refused"));
  } catch {
    return `${t("error.unreachable")}. ${t("error.unreachable.detail")}`;
  }
}
