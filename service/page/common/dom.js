// Making elements, and writing numbers. Text always goes in as text, never as HTML.

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(node.dataset, value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Where the service is: a proxy may show it below a path of its own, so no address begins at the root of the host.
export const HOME = new URL(".", document.baseURI).pathname;

// The page of one of several libraries is at the address of that, which URLs in answers begin with.
const ROOT = HOME.replace(/v1\/libraries\/[^/]+\/$/, "");

// The page of a library; the first one needs no name.
export const homeOf = (name, libraries) => (name === libraries[0] ? ROOT : `${ROOT}v1/libraries/${name}/`);

// What is kept in the browser for the library of this page alone has this behind its name.
export const OWN = HOME.slice(ROOT.length);

// What a path of the service, such as "/v1/clips", is here.
export const at = (path) => (path.startsWith("/v1/libraries/") ? ROOT : HOME) + path.replace(/^\//, "");

export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

// A symbol of index.html.
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// "4.2 s", and "1:04" or "1:02:03" from a minute on.
export function seconds(value) {
  return value < 59.95 ? `${value.toFixed(1)} s` : clock(value);
}

// "0:07", as players write a moment.
export function clock(value) {
  const whole = Math.floor(value);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${scaled.toFixed(power && scaled < 10 ? 1 : 0)} ${units[power]}`;
}

// A minus sign is as wide as a plus; a hyphen is not.
export const signed = (value, digits = 3) => value.toFixed(digits).replace("-", "\u2212");

// Plays, if it can. Playing is refused where it is stopped before it has begun, which leaving a card does, and where
// the browser cannot play the file, which the video's own error event tells.
export const play = (video) => video.play().catch((error) => console.debug(error.message));

export const still = matchMedia("(prefers-reduced-motion: reduce)");
