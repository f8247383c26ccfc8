"""What the page costs in Chromium: the first screen, the time from the last key to results, scrolling a thousand hits.

    quartet demo &
    python -m benchmarks.service.page_loading http://127.0.0.1:8000

Needs Playwright and a Chromium on the PATH. Figures are medians over `--rounds` visits.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from typing import Any

from playwright.sync_api import Browser, Page, Response, Route, sync_playwright

SENTENCES = ("a red bird flies over a house", "a blue car drives in the snow", "a small cat sleeps in the garden")
KEY = 50
"""Milliseconds from key to key."""
HITS = 1000

# The time at which the results of what was typed last are on screen, less that of the last key.
WATCH = """() => {
  const results = document.getElementById("results");
  addEventListener("input", () => { window.typed = performance.now(); window.shown = null; }, true);
  new MutationObserver(() => {
    if (results.ariaBusy === "false" && results.querySelector(".card:not(.waiting)")) {
      requestAnimationFrame(() => { window.shown ??= performance.now(); });
    }
  }).observe(results, { attributes: true, childList: true, subtree: true });
}"""
SCROLL = """async (seconds) => {
  const frames = [];
  const began = performance.now();
  let before = began;
  while (before - began < 1000 * seconds) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
    scrollBy(0, 60);
  }
  return frames.slice(1);
}"""


def first_screen(browser: Browser, url: str) -> tuple[int, int]:
    """Requests and bytes of a first visit."""
    page = browser.new_context(base_url=url).new_page()
    loaded: list[Response] = []
    page.on("response", lambda response: loaded.extend([response]))
    page.goto("/")
    page.wait_for_selector("#examples a")
    page.wait_for_load_state("networkidle")
    sizes = [response.request.sizes() for response in loaded]
    page.context.close()
    return len(loaded), sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


def typed(browser: Browser, url: str, text: str) -> float:
    """Milliseconds from the last key of `text` to the first picture of its results."""
    page = browser.new_context(base_url=url).new_page()
    page.goto("/")
    page.wait_for_selector("#examples a")
    page.evaluate(WATCH)
    with page.expect_response(lambda got: "/search/" in got.url and got.request.post_data_json["query"] == text):
        page.locator("#query").press_sequentially(text, delay=KEY)
    page.wait_for_function("() => window.shown")
    took: float = page.evaluate("window.shown - window.typed")
    page.context.close()
    return took


def scrolled(browser: Browser, url: str, seconds: float = 4.0) -> list[float]:
    """Milliseconds of each frame while a list of `HITS` made-up hits is scrolled."""
    page = browser.new_context(base_url=url, viewport={"width": 1366, "height": 820}).new_page()
    _make_up(page)
    page.add_init_script(f"history.replaceState({{ depth: {HITS} }}, '')")
    page.goto(f"/?q={SENTENCES[0].replace(' ', '+')}")
    page.wait_for_selector("#results .card:not(.waiting)")
    frames: list[float] = page.evaluate(SCROLL, seconds)
    page.context.close()
    return frames


def _make_up(page: Page) -> None:
    def answer(route: Route) -> None:
        wanted: dict[str, Any] = route.request.post_data_json
        found = route.fetch(post_data={**wanted, "k": 100, "offset": 0})
        body = found.json()
        own = body["hits"]
        body["hits"] = [
            {**own[i % len(own)], "clip_id": 10**6 + i, "alike": []}
            for i in range(wanted["offset"], min(HITS, wanted["offset"] + wanted["k"]))
        ]
        route.fulfill(response=found, json=body)

    page.route("**/v1/search/clips", answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        requests, size = first_screen(browser, given.url)
        print(f"first screen: {requests} requests, {size / 1000:.1f} kB")
        took = [typed(browser, given.url, text) for _ in range(given.rounds) for text in SENTENCES]
        print(
            f"last key to results: median {statistics.median(took):.0f} ms, slowest of {len(took)} {max(took):.0f} ms"
        )
        frames = sorted(scrolled(browser, given.url))
        late = frames[int(0.95 * len(frames))]
        print(f"scrolling {HITS:,} hits: frames of {statistics.median(frames):.1f} ms, 95% under {late:.1f} ms")
        browser.close()


if __name__ == "__main__":
    main()
