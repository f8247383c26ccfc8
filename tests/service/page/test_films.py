"""Films: rows with their moments on a timeline, and a viewer that plays a moment and steps to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from model.fake_encoder import FakeEncoder
from service.settings import Settings
from tests.service.conftest import PART, write_film
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import keep_in

LINES = "".join(
    f"{i + 1}\n00:00:0{2 * i},800 --> 00:00:09,000\nline {i} of the film\n\n" for i in range(3)
)  # fmt: skip
"""Each lasts until the next one and beyond the end of its clip, where the player stops: the last to begin is shown."""

AT = "() => document.querySelector('#viewer video')?.currentTime >= {}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service over a film of three clips with subtitles."""
    folder: Path = tmp_path_factory.mktemp("told")
    (folder / "films").mkdir()
    write_film(folder / "films" / "film.mp4")
    (folder / "films" / "film.en.srt").write_text(LINES, encoding="utf-8")
    index_videos(folder / "library", [folder / "films"], FakeEncoder(), segmentation=Segmentation("window", PART, 0))
    with running(Settings(library=folder / "library")) as address:
        yield address


def test_films_are_rows_with_a_timeline(any_page: Page) -> None:
    page = any_page
    page.goto("/?q=a+square&all=1")
    page.get_by_role("link", name="Videos", exact=True).click()
    rows = page.get_by_role("list", name="Videos").locator("> li")
    expect(rows).to_have_count(6)
    expect(page).to_have_url(re.compile("view=films"))
    film = rows.filter(has=page.get_by_role("heading", name="film"))
    expect(film).to_contain_text(re.compile("\\d moments? \N{MIDDLE DOT} 6.0 s"))
    marks = film.get_by_role("list", name="Moments in the video").get_by_role("link")
    boxes = [mark.bounding_box() for mark in marks.all()]
    line = film.locator(".timeline .track").bounding_box()
    starts = [round(6 * (box["x"] - line["x"]) / line["width"]) for box in boxes]
    assert starts == sorted(starts) and set(starts) <= {0, 2, 4}
    marks.last.click()
    page.wait_for_function(AT.format(starts[-1]))
    page.keyboard.press("Escape")
    expect(marks.last).to_be_focused()


def test_the_viewer_plays_the_moment_and_stops(visit: Visit, told: str) -> None:
    page = visit(at=told)
    page.goto("/?q=film&all=1&show=2")
    page.wait_for_function(f"{AT.format(2 * PART - 0.3)} && document.querySelector('#viewer video').paused")
    assert page.evaluate("document.querySelector('#viewer video').currentTime") < 3 * PART - 0.1
    # It goes on where that is chosen, which is kept.
    viewer = page.get_by_role("dialog")
    viewer.get_by_label("Play on after the moment").check()
    viewer.get_by_role("button", name="Play the moment again").click()
    page.wait_for_function(AT.format(3 * PART - 0.1))


def test_the_transcript_follows_the_player(visit: Visit, told: str) -> None:
    page = visit(at=told)
    page.goto("/?tab=library&show=1")
    lines = page.get_by_role("list", name="Transcript")
    expect(lines.get_by_role("button")).to_have_text([f"0:0{2 * i} line {i} of the film" for i in range(3)])
    now = lines.locator("[aria-current]")
    expect(now).to_have_text("0:00 line 0 of the film")
    lines.get_by_role("button", name="line 2").click()
    page.wait_for_function(AT.format(4.8))
    expect(now).to_have_text("0:04 line 2 of the film")


def test_the_focus_stays_on_the_way_from_moment_to_moment(visit: Visit, told: str) -> None:
    page = visit(at=told)
    page.goto("/?q=film&all=1")
    cards = page.locator("#results .card")
    expect(cards).to_have_count(3)
    cards.nth(0).locator(".screen").press("Enter")
    viewer = page.get_by_role("dialog")
    step = viewer.get_by_role("button", name="Next moment")
    step.press("Enter")
    expect(page).to_have_url(re.compile(f"show={cards.nth(1).get_attribute('data-id')}$"))
    expect(step).to_be_focused()
    viewer.get_by_role("button", name="Close").click()
    # Where one was last is where one is.
    expect(cards.nth(1).locator(".screen")).to_be_focused()


def test_a_file_that_the_browser_cannot_play_is_made_playable(visit: Visit, told: str) -> None:
    page = visit(at=told)
    page.route("**/media", lambda route: route.fulfill(status=200, content_type="video/mp4", body="no video"))
    held: list[Route] = []
    page.route("**/proxy", keep_in(held))
    page.goto("/?q=film&show=2")
    # Until then its frames are leafed through.
    expect(page.get_by_role("alert").filter(has_text="Preparing the moment")).to_be_visible()
    expect(page.locator(".strip-of-clip")).to_be_visible()
    held[0].continue_()
    page.wait_for_function("() => document.querySelector('#viewer video')?.currentTime > 0.3")
    expect(page.locator(".strip-of-clip")).to_be_hidden()
    # Its own clock begins at 0; the transcript still goes by that of the video.
    expect(page.get_by_role("list", name="Transcript").locator("[aria-current]")).to_have_text(
        "0:02 line 1 of the film"
    )


def test_a_file_that_nobody_can_play_shows_its_frames(visit: Visit, told: str) -> None:
    page = visit(at=told, expected="status of 422")
    page.route("**/media", lambda route: route.fulfill(status=200, content_type="video/mp4", body="no video"))
    problem = {"title": "Unusable", "detail": "Too long."}
    page.route("**/proxy", lambda route: route.fulfill(status=422, json=problem))
    page.goto("/?q=film&show=1")
    expect(page.get_by_role("alert").filter(has_text="These are frames of the clip.")).to_be_visible()
    expect(page.locator(".strip-of-clip")).to_be_visible()
