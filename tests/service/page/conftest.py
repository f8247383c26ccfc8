"""The page in a real browser, as wide as a phone and as a desk, over a small library with a film of several clips."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from model.fake_encoder import FakeEncoder
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
OTHER_SIZES = {"narrow": (320, 640), "laptop": (1366, 820), "wide": (1920, 1080)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder if there is no browser; otherwise run a failed test once more.

    A browser is a dozen processes, and their order differs from run to run. The summary shows why a first run failed.
    """
    here = Path(__file__).parent
    mark = pytest.mark.skip(reason="no Chromium on PATH") if CHROMIUM is None else pytest.mark.flaky(reruns=1)
    for item in items:
        if here in item.path.parents:
            item.add_marker(mark)


@contextmanager
def running(settings: Settings, encoder: FakeEncoder | None = None) -> Iterator[str]:
    """A service, at the address that is given. The system picks the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, encoder or FakeEncoder()), log_level="warning", ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    # Connections wait in the listener's queue until the server takes them, so nothing polls for its start.
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(films: World) -> Iterator[str]:
    with running(Settings(library=films.library)) as address:
        yield address


# Not for the session: its event loop runs as long as it does, and tests that come later want one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


PATIENCE = 60_000
"""Milliseconds that a step of a test may take on a busy machine. What passes does not wait for them."""
expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens a page: `visit(size="desk", at=address)`. It must not complain and must not scroll sideways.

    The browser itself reports refusals, which some tests provoke, and connections that a test cuts.
    """
    with ExitStack() as closing:

        def make(
            size: str = "desk", at: str = address, expected: str = "ERR_CONNECTION_REFUSED", **options: object
        ) -> Page:
            width, height = (SIZES | OTHER_SIZES)[size]
            phone = size in ("phone", "narrow")
            context = browser.new_context(
                base_url=at, viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone, **options
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            complaints: list[str] = []

            def heard(message: ConsoleMessage) -> None:
                if message.type in ("error", "warning") and expected not in message.text:
                    complaints.append(message.text)

            page.on("console", heard)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda asked: asked.url.startswith((at, "blob:")) or complaints.append(asked.url))

            def check() -> None:
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
                assert complaints == []
                # A test may end while one of its routes still waits for the service. Nobody needs that answer.
                page.unroute_all(behavior="ignoreErrors")
                context.close()

            closing.callback(check)
            return page

        yield make


@pytest.fixture
def page(visit: Visit) -> Page:
    """At a desk."""
    return visit()


@pytest.fixture(params=SIZES)
def any_page(request: pytest.FixtureRequest, visit: Visit) -> Page:
    """On a phone and at a desk."""
    return visit(request.param)
