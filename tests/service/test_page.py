"""The page in a real browser, at the width of a phone and of a desk."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from model.fake import FakeEncoder
from service.app import create_app
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
WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def address(built_world: World) -> Iterator[str]:
    """A running service; the system picks the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(Settings(library=built_world.library), FakeEncoder())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    # Connections wait in the listener's queue until the server takes them, so nothing polls for its start.
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """A page that must not complain and must not scroll sideways.

    The browser itself reports answers of 422, which bad queries get, and connections that a test cuts.
    """
    width, height = WIDTHS[request.param]
    context = browser.new_context(
        base_url=address, viewport={"width": width, "height": height}, has_touch=request.param == "phone"
    )
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        expected = "status of 422" in message.text or "ERR_CONNECTION_REFUSED" in message.text
        if message.type in ("error", "warning") and not expected:
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith((address, "blob:")) or complaints.append(asked.url))
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    assert complaints == []
    context.close()


def search(page: Page, query: str) -> None:
    page.goto("/")
    page.get_by_label("Describe a clip").fill(query)
    page.get_by_role("button", name="Search").click()


def test_searches_and_shows_four_bars_per_hit(page: Page) -> None:
    search(page, "a red square sliding")
    cards = page.locator(".card:not(.waiting)")
    expect(cards).to_have_count(5)
    for card in cards.all():
        bars = card.locator(".bars li")
        assert [bar.get_attribute("data-level") for bar in bars.all()] == ["global", "entity", "action", "relation"]
        given = [float(value.replace("\N{MINUS SIGN}", "-")) for value in bars.locator(".value").all_inner_texts()]
        assert sum(given) == pytest.approx(float(card.locator(".score").inner_text()), abs=0.003)
        assert card.locator(".chips li").all_inner_texts() == ["a", "sliding", "a red square sliding"]
    assert page.url.endswith("?q=a+red+square+sliding")
    # The thumbnails are there.
    assert page.evaluate("fetch(document.querySelector('video').poster).then((r) => r.ok)")


def test_a_level_without_words_is_marked(page: Page) -> None:
    search(page, "square")
    silent = page.locator(".card:not(.waiting)").first.locator(".bars .silent")
    expect(silent).to_have_count(2)
    assert [bar.get_attribute("data-level") for bar in silent.all()] == ["action", "relation"]
    expect(silent.first.locator(".value")).to_have_text("\N{EN DASH}")


def test_a_hit_plays_when_pressed_and_by_keyboard(page: Page) -> None:
    search(page, "a red square sliding")
    first = page.locator(".card:not(.waiting) .screen").first
    moving = "(button) => button.querySelector('video').currentTime > 0.1"
    if page.viewport_size == {"width": WIDTHS["phone"][0], "height": WIDTHS["phone"][1]}:
        first.tap()
    else:
        first.hover()
    page.wait_for_function(moving, arg=first.element_handle())
    assert first.locator("video").evaluate("(video) => video.muted && !video.error")
    page.get_by_label("Describe a clip").focus()
    page.mouse.move(1, 1)
    expect(page.locator(".playing")).to_have_count(0)
    page.locator(".describe").first.focus()
    page.keyboard.press("Tab")
    second = page.locator(".card:not(.waiting) .screen").nth(1)
    expect(second).to_be_focused()
    page.wait_for_function(moving, arg=second.element_handle())


def test_a_hit_is_leafed_through_until_it_plays(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/media", hold)
    search(page, "a red square sliding")
    first = page.locator(".card:not(.waiting) .screen").first
    if page.viewport_size == {"width": WIDTHS["phone"][0], "height": WIDTHS["phone"][1]}:
        first.tap()
    else:
        first.hover()
    strip = first.locator(".strip")
    expect(strip).to_have_css("opacity", "1")
    expect(strip).to_have_css("background-image", re.compile("/v1/clips/[0-9]+/strip"))
    # As large as the screen, and of the shape of the film: 160x120.
    assert strip.evaluate("(strip) => strip.clientWidth / strip.clientHeight") == pytest.approx(4 / 3, rel=0.02)
    for route in held:
        route.continue_()
    expect(strip).to_have_css("opacity", "0")


def test_describes_a_hit(page: Page) -> None:
    search(page, "a red square sliding")
    page.get_by_role("button", name="Describe this clip").first.click()
    sentences = page.locator(".sentences .card:not(.waiting)")
    expect(sentences).to_have_count(5)
    expect(sentences.first.locator(".bars li")).to_have_count(4)
    expect(page.get_by_role("tab", name="Captions")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#subject")).to_contain_text("Its own caption")
    page.go_back()
    expect(page.locator(".grid .card:not(.waiting)")).to_have_count(5)


def test_describes_a_chosen_video(page: Page, built_world: World) -> None:
    page.goto("/")
    page.get_by_role("tab", name="Clips").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Captions")).to_be_focused()
    page.locator("#file").set_input_files(built_world.videos / "green.mp4")
    expect(page.locator(".sentences .card:not(.waiting)")).to_have_count(5)
    expect(page.locator("#subject")).to_contain_text("green.mp4")
    page.locator("#file").set_input_files(built_world.videos / "empty.mp4")
    expect(page.get_by_role("alert")).to_contain_text("The video cannot be used")


def test_a_bad_query_says_what_is_wrong(page: Page) -> None:
    search(page, "   ")
    expect(page.get_by_role("alert")).to_contain_text("The query is empty. Describe a clip in a sentence.")
    expect(page.get_by_role("alert")).to_contain_text("request ")
    page.get_by_role("list", name="Example queries").get_by_role("button").first.click()
    expect(page.locator(".grid .card:not(.waiting)")).to_have_count(5)


def test_a_service_that_is_gone_is_told(page: Page) -> None:
    page.goto("/")
    page.route("**/v1/search/**", lambda route: route.abort("connectionrefused"))
    page.get_by_label("Describe a clip").fill("a red square")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")


def test_typing_does_not_wait_for_the_library(page: Page) -> None:
    asked: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route)

    page.route("**/v1/library", hold)
    page.goto("/")
    page.get_by_label("Describe a clip").fill("a red square")
    asked.pop().continue_()
    expect(page.locator("#library")).to_have_text("5 clips · 5 captions")
    expect(page.get_by_label("Describe a clip")).to_have_value("a red square")


def test_weights_are_part_of_the_shared_address(page: Page) -> None:
    page.goto("/?q=a+red+square+sliding&w=global%3D0%2Caction%3D3")
    expect(page.get_by_role("slider", name="Weight of action")).to_have_value("3")
    bar = page.locator(".card:not(.waiting)").first.locator(".bars [data-level=global]")
    expect(bar).to_have_class("silent")
    page.get_by_role("button", name="Reset").click()
    expect(bar).not_to_have_class("silent")
    assert page.url.endswith("?q=a+red+square+sliding")


def test_the_api_reference_works_offline(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_text("/v1/search/clips", exact=True)).to_be_visible()


def test_screens_can_be_told_apart_in_the_dark(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page.goto("/")
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(paper) != light
