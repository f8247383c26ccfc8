"""Several libraries: one is chosen on the page, and everything that the page asks for is of that one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from indexer.store.management import remove_videos
from service.settings import Settings
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import FOUND, QUERY, answer_to, cards

if TYPE_CHECKING:
    from tests.service.conftest import World

NEWS = "/v1/libraries/news"
CHOOSER = "Library to search"


@pytest.fixture
def both(films: World, world: World) -> Iterator[str]:
    """A service with the library of films and a library `news` without the red video."""
    remove_videos(world.library, [world.videos / "red.mp4"])
    with running(Settings(library=films.library, libraries={"news": world.library})) as address:
        yield address


@pytest.fixture
def taking(films: World, world: World, tmp_path: Path) -> Iterator[str]:
    """A service with the libraries `news` and `films` that takes uploads."""
    (tmp_path / "uploads").mkdir()
    libraries = {"news": world.library, "films": films.library}
    with running(Settings(libraries=libraries, model="fake", upload_folder=tmp_path / "uploads")) as address:
        yield address


def paths_of(page: Page) -> list[str]:
    """What the page asks for from now on."""
    paths: list[str] = []
    page.on("request", lambda request: request.url.startswith("http") and paths.append(urlsplit(request.url).path))
    return paths


def test_a_single_library_needs_no_choice(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#library")).to_contain_text("8 clips")
    expect(page.get_by_label(CHOOSER)).to_be_hidden()


@pytest.mark.parametrize("size", ["narrow", "phone", "desk"])
def test_the_sentence_goes_along_to_the_chosen_library(visit: Visit, both: str, size: str) -> None:
    page = visit(size, at=both)
    page.goto(f"/?q={QUERY}&not=a+dog&more=1&w=entity%3D2&show=2")
    page.get_by_role("button", name="Close").click()
    chooser = page.get_by_label(CHOOSER)
    expect(chooser.get_by_role("option")).to_have_text(["Main library", "news"])
    expect(chooser).to_have_value("default")
    with page.expect_navigation():
        chooser.select_option("news")
    # Clips of one library mean nothing to another.
    expect(page).to_have_url(f"{both}{NEWS}/?q=a+red+square+sliding&not=a+dog")
    expect(chooser).to_have_value("news")
    expect(page.locator("#library")).to_contain_text("4 clips")
    expect(cards(page).filter(has_text="green")).to_have_count(1)
    expect(cards(page).filter(has_text="red")).to_have_count(0)
    page.go_back()
    expect(page).to_have_url(re.compile(f"^{both}/\\?q="))
    expect(chooser).to_have_value("default")
    expect(page.locator("#library")).to_contain_text("8 clips")


def test_everything_is_asked_of_the_chosen_library(visit: Visit, taking: str, films: World, tmp_path: Path) -> None:
    film = tmp_path / "holiday.mp4"
    film.write_bytes((films.library.parent / "films" / "film.mp4").read_bytes())
    page = visit(at=taking)
    asked = paths_of(page)
    page.goto(f"{NEWS}/")
    page.get_by_role("list", name="Example queries").get_by_role("link").first.click()
    cards(page).first.hover()
    page.wait_for_function("() => document.querySelector('#results video')?.currentTime > 0")
    cards(page).first.locator(".screen").click()
    page.wait_for_function("() => document.querySelector('#viewer video')?.currentTime > 0")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Saved and recent searches").click()
    page.get_by_label("Save this search as").fill("squares")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#saved").get_by_role("link", name="squares")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("navigation").get_by_role("link", name="Library").click()
    page.get_by_role("button", name="Add videos").click()
    page.get_by_label("Choose videos").set_input_files([film])
    expect(page.get_by_role("list", name="Indexing")).to_contain_text("1 video indexed", timeout=60_000)
    expect(page.locator("#summary")).to_contain_text("6 videos, 6 clips")
    kinds = {path.removeprefix(NEWS).strip("/").removeprefix("v1/").partition("/")[0] for path in asked}
    assert kinds >= {"", "page", "library", "search", "clips", "videos", "searches", "uploads", "jobs"}
    assert [path for path in asked if not path.startswith(f"{NEWS}/")] == []
    # The other library has none of it, its recent searches included.
    page.goto("/v1/libraries/films/?tab=library")
    expect(page.locator("#summary")).to_contain_text("6 videos, 8 clips")
    page.get_by_role("link", name="Quartet, start page").click()
    page.get_by_role("button", name="Saved and recent searches").click()
    expect(page.locator("#saved")).to_contain_text("None yet.")
    expect(page.locator("#saved")).not_to_contain_text("Recent searches")
    page.goto("about:blank")


def test_the_page_of_a_library_asks_for_the_key(visit: Visit, films: World, world: World) -> None:
    key = "a key of enough characters"
    settings = Settings(library=films.library, libraries={"news": world.library}, api_key=key)
    with running(settings) as address:
        page = visit(at=address, expected="status of 401")
        with answer_to(page, query=QUERY):
            page.goto(f"{NEWS}/?q={QUERY}")
            page.get_by_role("dialog").get_by_label("API key").fill(key)
            page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        expect(cards(page).first).to_be_visible()
        # The key is that of the whole service.
        with page.expect_navigation():
            page.get_by_label(CHOOSER).select_option("Main library")
        expect(cards(page)).to_have_count(FOUND)
        assert page.url == f"{address}/?q=a+red+square+sliding"


def test_german_has_its_words_for_it(visit: Visit, both: str) -> None:
    page = visit(at=both, locale="de-DE")
    page.goto("/")
    chooser = page.get_by_label("Durchsuchte Bibliothek")
    expect(chooser.get_by_role("option")).to_have_text(["Hauptbibliothek", "news"])
