"""How soon the page follows a slider (docs/service.md).

    python -m benchmarks.service.page --library quartet-demo/library

Chromium without a window, over a running service. Every step of a slider is a key, as a person presses it; measured is
the time from its `input` event, by the clock of the browser, to the first task after the frame that shows the new
order. The service's own ranking, which follows, is held back, so that there are as many hits at every step.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import machine
from benchmarks.service.server_process import running_service
from model.levels import LEVEL_NAMES

QUERY = "a red bird jumps on the street"

# A frame is painted after its animation callbacks, and a message sent in one of them comes after the painting.
_WATCH = """() => {
  window.waits = [];
  window.fetch = (path, { signal }) =>
    new Promise((resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  addEventListener("input", (event) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => window.waits.push(performance.now() - event.timeStamp);
    port2.postMessage(null);
  }), { capture: true });
}"""
_ORDER = "[...document.querySelectorAll('#results .card')].map((card) => card.dataset.id + card.innerText).join()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="the library to search")
    parser.add_argument("--runs", type=int, default=5, help="how often the page is opened again")
    parser.add_argument("--steps", type=int, default=20, help="of sliders, in each run")
    parser.add_argument("--hits", type=int, nargs="+", default=[48, 200], help="clips on the page")
    options = parser.parse_args()
    print(machine(), flush=True)
    with running_service(options.library) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print(f"Chromium {browser.version}", flush=True)
        for hits in options.hits:
            medians, waits = [], []
            for _ in range(options.runs):
                page = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=url)
                run = _steps(page, hits, options.steps)
                page.close()
                medians.append(np.median(run))
                waits += run
            each = ", ".join(f"{median:.0f}" for median in medians)
            print(
                f"{hits} hits: median {np.median(waits):.0f} ms (of each run: {each}), "
                f"95% within {np.percentile(waits, 95):.0f} ms, longest {max(waits):.0f} ms",
                flush=True,
            )
        browser.close()


def _steps(page: Page, hits: int, steps: int) -> list[float]:
    """Milliseconds of each step, over all sliders in turn, with so many hits on the page."""
    page.add_init_script(f"history.replaceState({{ depth: {hits} }}, '')")
    page.goto(f"/?q={QUERY}&all=1")
    page.locator("#results .card:not(.waiting)").first.wait_for()
    page.evaluate(_WATCH)
    levels = itertools.cycle(LEVEL_NAMES)
    for step in range(steps):
        before = page.evaluate(_ORDER)
        page.get_by_role("slider", name=f"Weight of {next(levels)}").press("ArrowRight")
        page.wait_for_function("(count) => window.waits.length === count", arg=step + 1)
        if page.evaluate(_ORDER) == before:
            raise SystemExit("A step of a slider has changed nothing on the page.")
    waits: list[float] = page.evaluate("window.waits")
    return waits


if __name__ == "__main__":
    main()
