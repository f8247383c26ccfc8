"""What the tests of the page look for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import Locator, Page, Response, Route

QUERY = "a red square sliding"
CLIPS = 8
"""Clips of the library, the three of the film among them."""
FOUND = 5
"""Hits that are shown of these: what touches or looks the same is told once."""


def cards(page: Page) -> Locator:
    return page.locator("#results .card:not(.waiting)")


def on_phone(page: Page) -> bool:
    return page.evaluate("matchMedia('(hover: none)').matches")


def answer_to(page: Page, **wanted: Any) -> AbstractContextManager[object]:
    """Waits for the answer to a search for clips that asks for `wanted`. Earlier answers may still be on their way."""

    def is_it(got: Response) -> bool:
        asked = got.request.post_data_json if got.url.endswith("/search/clips") else {}
        return got.url.endswith("/search/clips") and wanted.items() <= asked.items()

    return page.expect_response(is_it)


def keep_in(held: list[Route]) -> Callable[[Route], None]:
    """A handler that leaves requests without an answer and keeps them. (Playwright does not take `held.append`.)"""

    def keep(route: Route) -> None:
        held.append(route)

    return keep
