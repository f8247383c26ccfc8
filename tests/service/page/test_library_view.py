"""The library: its videos, the files that were refused, and adding to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, Route, expect

from service.settings import Settings
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import cards

if TYPE_CHECKING:
    from tests.service.conftest import World

JOB: dict[str, Any] = {
    "id": "j1",
    "state": "queued",
    "source": "films/2026",
    "created": "2026-01-01T00:00:00Z",
    "started": None,
    "finished": None,
    "progress": None,
    "report": None,
    "error": None,
}
PROGRESS = {
    "done": 3, "total": 12, "file": "c.mp4", "clips": 3, "clips_per_second": 4.5, "video_hours_per_hour": 30.0,
    "seconds": 0.7, "seconds_left": 2.0, "bottleneck": "decode", "busy": {"decode": 0.9},
}  # fmt: skip
REPORT = {
    "indexed": 11, "unchanged": 0, "moved": 0, "removed": 0, "missing": 0, "clips_total": 19, "generation": "000009",
    "interrupted": False, "refused": [{"file": "d.mp4", "reason": "truncated", "detail": "It ends early."}],
    "seconds": 2.5,
}  # fmt: skip


def test_shows_videos_with_their_clips_and_refused_files(any_page: Page) -> None:
    page = any_page
    page.goto("/")
    page.get_by_role("navigation").get_by_role("link", name="Library").click()
    videos = page.get_by_role("list", name="Videos").locator("> li")
    expect(videos).to_have_count(6)
    expect(page.get_by_role("status")).to_contain_text("6 videos, 8 clips, 5 captions, 2 refused files")
    film = videos.filter(has=page.get_by_role("heading", name="film"))
    film.scroll_into_view_if_needed()
    expect(film).to_contain_text("6.0 s \N{MIDDLE DOT} 3 clips \N{MIDDLE DOT} 160\N{MULTIPLICATION SIGN}120")
    expect(film.locator(".screen")).to_have_count(3)
    refused = page.get_by_role("list", name="Refused files").get_by_role("listitem")
    expect(refused).to_have_count(2)
    expect(refused.first).to_contain_text(re.compile(r"empty\.mp4\s*empty file\s*videos"))
    expect(refused.last).to_contain_text("no [b]markup.mp4")
    film.get_by_role("link", name="Open film at 0:02").click()
    page.wait_for_function("() => document.querySelector('#viewer video')?.currentTime >= 2")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/\?tab=library$"))
    # A service that takes no jobs offers none.
    expect(page.get_by_role("button", name="Add videos")).to_have_count(0)


def test_one_request_shows_many_videos(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/?tab=library")
    videos = page.get_by_role("list", name="Videos").locator("> li")
    expect(videos.locator(".screen")).to_have_count(8)
    assert sum("/v1/videos?" in url for url in asked) == 1 and not any("/v1/clips?" in url for url in asked)
    videos.filter(has_text="film").first.get_by_role("link", name="Search videos tagged a film").click()
    expect(page.locator("#within")).to_contain_text("tagged a film")


def test_finds_videos_by_their_titles(any_page: Page) -> None:
    page = any_page
    page.goto("/?tab=library")
    videos = page.get_by_role("list", name="Videos").locator("> li")
    expect(videos).to_have_count(6)
    find = page.get_by_label("Find videos by title")
    find.fill("RE")
    expect(videos.get_by_role("heading")).to_have_text(["green", "grey", "red"])
    expect(find).to_be_focused()
    expect(page).to_have_url(re.compile(r"/\?tab=library&title=RE$"))
    # The address is the state, also of what is opened from the list.
    page.reload()
    expect(videos).to_have_count(3)
    expect(find).to_have_value("RE")
    videos.get_by_role("link", name="Open green").click()
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/\?tab=library&title=RE$"))
    find.fill("nobody")
    expect(page.get_by_text("No title contains “nobody”.")).to_be_visible()
    find.fill("")
    expect(videos).to_have_count(6)
    page.go_back()
    expect(videos).to_have_count(3)
    expect(find).to_have_value("RE")


def test_long_names_stay_in_their_cards(any_page: Page) -> None:
    def rename(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        items = [{**one, "title": "title_" * 20, "file": "folder/" * 9 + "name_" * 20} for one in body["items"]]
        route.fulfill(response=answer, json={**body, "items": items})

    any_page.route("**/v1/videos?*", rename)
    any_page.goto("/?tab=library")
    expect(any_page.get_by_role("list", name="Videos").locator("> li")).to_have_count(6)
    wide = "[...document.querySelectorAll('.videos .about')].filter((one) => one.scrollWidth > one.clientWidth).length"
    assert any_page.evaluate(wide) == 0


def test_searches_in_a_video(page: Page) -> None:
    page.goto("/?tab=library")
    page.get_by_role("link", name="Search this video: film").click()
    expect(page.locator("#within")).to_contain_text("Searching only in film.")
    page.get_by_label("Describe a clip").fill("a red square")
    expect(cards(page)).to_have_count(3)
    assert re.search(r"\?q=a\+red\+square&video=\d+$", page.url)


def test_a_long_list_has_more(page: Page) -> None:
    def many(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        offset = int(re.search(r"offset=(\d+)", route.request.url)[1])
        one = body["items"][0] if body["items"] else {}
        items = [{**one, "file": f"{offset + i}.mp4"} for i in range(min(5, 45 - offset))]
        route.fulfill(response=answer, json={**body, "total": 45, "items": items or body["items"]})

    page.route("**/v1/failures?offset=0*", many)
    page.goto("/?tab=library")
    refused = page.get_by_role("list", name="Refused files").get_by_role("listitem")
    expect(refused).to_have_count(5)
    expect(page.get_by_role("button", name="40 more")).to_be_visible()


def following(page: Page, states: list[dict[str, Any]], jobs: list[dict[str, Any]]) -> None:
    """A service that takes a folder, and tells how its job is: `states[0]`."""

    def tell(route: Route) -> None:
        if route.request.method == "POST":
            assert route.request.post_data_json == {"folder": "films", "path": "2026"}
            route.fulfill(status=202, json=JOB)
        else:
            route.fulfill(json={"folders": ["films"], "uploads": False, "jobs": jobs})

    def stream(route: Route) -> None:
        # A stream that ends is begun again by the browser at once, and tells what is now.
        body = f"retry: 100\nevent: job\ndata: {json.dumps(states[0])}\n\n"
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    page.route("**/v1/jobs", tell)
    page.route("**/v1/jobs/j1/events", stream)
    page.goto("/?tab=library")
    page.get_by_role("button", name="Add videos").click()


def test_a_job_shows_how_far_it_is(page: Page) -> None:
    running_ = JOB | {"state": "running"}
    states = [JOB]
    following(page, states, [])
    drawer = page.get_by_role("dialog")
    drawer.get_by_label("Path in the folder").fill("2026")
    drawer.get_by_role("button", name="Index", exact=True).click()
    job = drawer.get_by_role("list", name="Indexing").locator("> li")
    expect(job).to_contain_text("Waiting for the current job.")
    states[:] = [running_]
    expect(job).to_contain_text("Loading the model.")
    states[:] = [running_ | {"progress": PROGRESS}]
    expect(job).to_contain_text(
        "3 of 12 files \N{MIDDLE DOT} 4.5 clips/s \N{MIDDLE DOT} 2.0 s left \N{MIDDLE DOT} c.mp4"
    )
    bar = job.get_by_role("progressbar")
    assert bar.evaluate("(bar) => [bar.value, bar.max]") == [3, 12]
    states[:] = [JOB | {"state": "done", "progress": PROGRESS | {"done": 12}, "report": REPORT}]
    expect(job).to_contain_text("11 videos indexed in 2.5 s")
    expect(job.get_by_role("progressbar")).to_have_count(0)
    job.get_by_text("1 refused file").click()
    expect(job).to_contain_text("It ends early.")
    # The focus returns to what opened the drawer.
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name="Add videos")).to_be_focused()


def test_a_job_can_be_cancelled(page: Page) -> None:
    running_ = JOB | {"state": "running", "progress": PROGRESS}
    page.route("**/v1/jobs/j1/cancel", lambda route: route.fulfill(json=JOB | {"state": "cancelled"}))
    following(page, [running_], [running_])
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("list", name="Indexing")).to_contain_text("Cancelled before it started.")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


@pytest.fixture
def open_house(world: World, tmp_path: Path) -> Settings:
    """Settings of a service that takes uploads and a folder."""
    (tmp_path / "uploads").mkdir()
    return Settings(
        library=world.library, model="fake", upload_folder=tmp_path / "uploads", job_folders={"videos": world.videos}
    )


def test_uploaded_videos_are_indexed_and_appear(
    visit: Visit, open_house: Settings, films: World, tmp_path: Path
) -> None:
    film = tmp_path / "holiday.mp4"
    film.write_bytes(next(films.library.parent.glob("films/film.mp4")).read_bytes())
    with running(open_house) as address:
        page = visit(at=address, expected="status of 422")
        page.goto("/?tab=library")
        videos = page.get_by_role("list", name="Videos").locator("> li")
        expect(videos).to_have_count(5)
        page.get_by_role("button", name="Add videos").click()
        page.get_by_label("Choose videos").set_input_files([film])
        expect(page.get_by_role("list", name="Indexing")).to_contain_text("1 video indexed")
        expect(page.get_by_role("list", name="Indexing").locator(".head")).to_have_text(
            re.compile("^holiday.mp4(Indexing|Done)$")
        )
        expect(page.locator("#summary")).to_contain_text("6 videos, 6 clips")
        # What is wrong with a job is shown next to it.
        page.get_by_label("Path in the folder").fill("../..")
        page.get_by_role("button", name="Index", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("relative to that folder")
        page.keyboard.press("Escape")
        expect(videos).to_have_count(6)
        # Nothing is on its way any more when the service ends.
        page.goto("about:blank")


PIECE = 2**18
"""Bytes of the first piece of an upload."""


@pytest.fixture
def long_film(films: World, tmp_path: Path) -> Path:
    """A video of several pieces."""
    film = tmp_path / "holiday.mp4"
    film.write_bytes(next(films.library.parent.glob("films/film.mp4")).read_bytes() + bytes(3 * PIECE))
    return film


def cutting(page: Page, cut: set[int]) -> list[int]:
    """The offsets of the pieces that the page sends; of these pieces, counted from 0, the connection is cut."""
    offsets: list[int] = []

    def pass_or_cut(route: Route) -> None:
        if route.request.method != "PATCH":
            return route.continue_()
        offsets.append(int(route.request.headers["upload-offset"]))
        return route.abort("connectionreset") if len(offsets) - 1 in cut else route.continue_()

    page.route(re.compile(r"/v1/uploads/\w{32}$"), pass_or_cut)
    return offsets


def test_an_upload_continues_after_a_break(visit: Visit, open_house: Settings, long_film: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.mp4"
    huge.write_bytes(bytes(10 * PIECE))
    with running(open_house.model_copy(update={"max_upload_bytes": 9 * PIECE})) as address:
        page = visit(at=address, expected="Failed to load resource")
        offsets = cutting(page, {1})
        page.goto("/?tab=library")
        page.get_by_role("button", name="Add videos").click()
        page.get_by_label("Choose videos").set_input_files([huge, long_film])
        uploads = page.get_by_role("list", name="Uploads")
        # A file that cannot be taken does not stop the others.
        expect(uploads.get_by_role("alert")).to_contain_text("huge.mp4: An upload may have at most")
        expect(uploads.get_by_role("status")).to_contain_text("Connection lost at 2.8 MiB of 3.")
        bar = uploads.get_by_role("progressbar", name="Upload of huge.mp4, holiday.mp4")
        assert bar.evaluate("(bar) => bar.value") == 11 * PIECE
        expect(page.get_by_role("list", name="Indexing")).to_contain_text("1 video indexed")
        assert offsets[:3] == [0, PIECE, PIECE]
        (kept,) = open_house.upload_folder.iterdir()
        assert (kept / long_film.name).read_bytes() == long_film.read_bytes()
        uploads.get_by_role("button", name="Close").click()
        expect(uploads.get_by_role("listitem")).to_have_count(0)
        page.goto("about:blank")


def test_an_upload_continues_after_the_page_was_closed(visit: Visit, open_house: Settings, long_film: Path) -> None:
    with running(open_house) as address:
        page = visit(at=address, expected="Failed to load resource")
        page.on("dialog", lambda leaving: leaving.accept())
        offsets = cutting(page, {1})
        for visits in (1, 2):
            page.goto("/?tab=library")
            page.get_by_role("button", name="Add videos").click()
            page.get_by_label("Choose videos").set_input_files(long_film)
            if visits == 1:
                expect(page.get_by_role("list", name="Uploads")).to_contain_text("Connection lost at 256 KiB")
        expect(page.get_by_role("list", name="Indexing")).to_contain_text("1 video indexed")
        assert offsets[:3] == [0, PIECE, PIECE]
        page.goto("about:blank")


def test_an_upload_can_be_cancelled(visit: Visit, open_house: Settings, long_film: Path) -> None:
    with running(open_house) as address:
        page = visit(at=address, expected="Failed to load resource")
        cutting(page, {1})
        page.goto("/?tab=library")
        page.get_by_role("button", name="Add videos").click()
        page.get_by_label("Choose videos").set_input_files(long_film)
        uploads = page.get_by_role("list", name="Uploads")
        expect(uploads).to_contain_text("Connection lost")
        with page.expect_response(lambda got: got.request.method == "DELETE") as gone:
            uploads.get_by_role("button", name="Cancel").click()
        expect(uploads.get_by_role("listitem")).to_have_count(0)
        assert gone.value.status == 204 and list(open_house.upload_folder.iterdir()) == []
        page.goto("about:blank")


def test_videos_are_listed_in_an_order_and_by_tag(page: Page) -> None:
    page.goto("/?tab=library")
    videos = page.get_by_role("list", name="Videos").locator("> li")
    expect(videos).to_have_count(6)
    page.get_by_label("Order of the videos").select_option("Longest first")
    expect(videos.first.get_by_role("heading")).to_have_text("film")
    page.get_by_label("Only with this tag").select_option("warm")
    expect(videos.get_by_role("heading")).to_have_text(["red", "yellow"])
    assert page.url.endswith("?tab=library&tag=warm&order=duration")
    page.reload()
    expect(videos).to_have_count(2)
    expect(page.get_by_label("Order of the videos")).to_have_value("duration")
    page.get_by_label("Find videos by title").fill("blue")
    page.get_by_role("button", name="Show all videos").click()
    expect(videos).to_have_count(6)


def test_selected_videos_are_tagged_exported_and_removed(visit: Visit, world: World) -> None:
    with running(Settings(library=world.library, model="fake")) as address:
        page = visit(at=address)
        page.goto("/?tab=library")
        videos = page.get_by_role("list", name="Videos").locator("> li")
        for title in ("red", "blue"):
            page.get_by_label(f"Select {title}").check()
        bar = page.get_by_role("group", name="Selected videos")
        expect(bar).to_contain_text("2 selected")
        with page.expect_download() as kept:
            bar.get_by_role("button", name="Export clips").click()
        lines = Path(kept.value.path()).read_text().splitlines()
        assert kept.value.suggested_filename == "selection.csv" and len(lines) == 3
        bar.get_by_label("Tag", exact=True).fill("mine")
        bar.get_by_role("button", name="Add tag").click()
        expect(videos.filter(has_text="mine")).to_have_count(2)
        expect(bar).to_be_hidden()
        page.get_by_label("Select red").check()
        bar.get_by_role("button", name="Remove from library").click()
        ask = page.get_by_role("dialog")
        expect(ask).to_contain_text("Remove this video from the library?")
        ask.get_by_role("button", name="Remove from library").click()
        expect(videos).to_have_count(4)
        expect(page.locator("#summary")).to_contain_text("4 videos")
        page.goto("about:blank")
