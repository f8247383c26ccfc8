// What a reader has chosen for this browser: theme, language, density of the results, and so on.

// Storage can be forbidden; a choice then lasts as long as the page.
const chosen = {};

export function setting(name) {
  if (name in chosen) return chosen[name];
  try {
    return JSON.parse(localStorage.getItem(`quartet.${name}`));
  } catch {
    return null;
  }
}

export function set(name, value) {
  chosen[name] = value;
  try {
    if (value === null) localStorage.removeItem(`quartet.${name}`);
    else localStorage.setItem(`quartet.${name}`, JSON.stringify(value));
  } catch {
    // It is kept in `chosen`.
  }
}
