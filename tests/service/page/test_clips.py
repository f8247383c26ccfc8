"""A hit: it plays where one points, opens at its second, and leads on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.conftest import PART
from tests.service.page.conftest import Visit
from tests.service.page.looking import FOUND, QUERY, cards, keep_in

MOVES = "(link) => link.querySelector('video.on')?.currentTime > {}"
FILM = re.compile("film")


def test_a_hit_plays_while_it_is_pointed_at(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    first = cards(page).locator(".screen").first
    first.hover()
    page.wait_for_function(MOVES.format(0.1), arg=first.element_handle())
    assert first.locator("video").evaluate("(video) => video.muted && !video.error")
    page.mouse.move(1, 1)
    expect(page.locator("#results video")).to_have_count(0)


def test_a_hit_plays_while_it_has_the_focus(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page).first).to_be_visible()
    page.get_by_label("Describe a clip").focus()
    page.keyboard.press("ArrowDown")
    first = cards(page).locator(".screen").first
    page.wait_for_function(MOVES.format(0.1), arg=first.element_handle())
    page.keyboard.press("Tab")
    expect(page.locator("#results video")).to_have_count(0)


def test_a_part_of_a_film_plays_from_its_second(page: Page) -> None:
    page.goto("/?q=blue&from=4.5&all=1")
    film = cards(page).filter(has_text=FILM)
    expect(film).to_have_count(1)
    expect(film.locator(".time")).to_have_text("0:04")
    film.locator(".screen").hover()
    page.wait_for_function(MOVES.format(2 * PART), arg=film.locator(".screen").element_handle())


def test_a_hit_is_leafed_through_until_it_plays(page: Page) -> None:
    held: list[Route] = []
    page.route("**/media", keep_in(held))
    page.goto(f"/?q={QUERY}")
    first = cards(page).locator(".screen").first
    with page.expect_request("**/media"):
        first.hover()
    strip = first.locator(".strip")
    expect(strip).to_have_css("background-image", re.compile("/v1/clips/[0-9]+/strip"))
    # As large as the screen, and of the shape of the film: 160x120.
    assert strip.evaluate("(strip) => strip.clientWidth / strip.clientHeight") == pytest.approx(4 / 3, rel=0.02)
    expect(first.locator("video")).to_have_css("opacity", "0")
    for route in held:
        route.continue_()
    expect(first.locator("video")).to_have_css("opacity", "1")


def test_who_wants_no_motion_gets_none(visit: Visit) -> None:
    page = visit(reduced_motion="reduce")
    page.goto(f"/?q={QUERY}")
    cards(page).locator(".screen").first.hover()
    cards(page).locator(".screen").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Why it was found")
    assert page.locator("#results video").count() == 0
    assert page.locator("#viewer video").evaluate("(video) => video.paused && !video.autoplay")


def test_a_hit_opens_at_its_second(any_page: Page) -> None:
    page = any_page
    page.goto("/?q=blue&from=4.5&all=1")
    film = cards(page).filter(has_text=FILM)
    film.get_by_role("link", name="Open film at 0:04").click()
    viewer = page.get_by_role("dialog")
    expect(viewer.get_by_role("heading", name="film")).to_be_visible()
    # Whole and above its title, not below it.
    film_box, title_box = (
        viewer.locator("video").bounding_box(),
        viewer.get_by_role("heading", name="film").bounding_box(),
    )
    assert film_box["y"] >= 0
    assert film_box["y"] + film_box["height"] <= title_box["y"] or film_box["x"] + film_box["width"] <= title_box["x"]
    expect(viewer.locator(".side")).to_contain_text("0:04 to 0:06, 2.0 s")
    expect(viewer.locator("#viewer-file")).to_contain_text("film.mp4 \N{MIDDLE DOT} 6.0 s")
    page.wait_for_function(f"() => document.querySelector('#viewer video')?.currentTime >= {2 * PART}")
    rows = viewer.get_by_role("row")
    assert len(rows.all()) == 1 + 5 + 1
    expect(rows.last).to_contain_text(film.locator(".score").inner_text()[:4])
    assert re.search(r"&show=\d+$", page.url)
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert "show" not in page.url
    expect(film.locator(".screen")).to_be_focused()
    # It was left the way that it was entered: there is nothing of it to go forward through twice.
    page.go_forward()
    expect(viewer).to_be_visible()
    page.go_back()
    expect(viewer).to_be_hidden()


def test_arrows_lead_from_hit_to_hit_in_the_viewer(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    ids = [card.get_attribute("data-id") for card in cards(page).all()]
    cards(page).locator(".screen").first.click()
    expect(page.get_by_role("button", name="Next moment")).to_be_visible()
    expect(page.get_by_role("button", name="Previous moment")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(f"show={ids[1]}$"))
    expect(page.get_by_role("button", name="Previous moment")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?q=a\+red\+square\+sliding$|\?q=a%20red%20square%20sliding$"))


def test_similar_clips_and_only_this_video(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    cards(page).filter(has_text="green").locator(".screen").click()
    viewer = page.get_by_role("dialog")
    viewer.get_by_role("link", name="Similar clips to green").click()
    expect(viewer).to_be_hidden()
    part = page.get_by_role("list", name="Parts of the question").get_by_role("listitem")
    expect(part).to_contain_text(re.compile(r"like\s*green, 0:00"))
    expect(cards(page)).to_have_count(5)
    expect(cards(page).filter(has_text="green")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/\?like=\d+$"))
    assert page.evaluate("scrollY") == 0
    # From there, the film alone, with all of its clips.
    cards(page).filter(has_text=FILM).first.locator(".screen").click()
    viewer.get_by_role("link", name="Search this video").click()
    expect(viewer).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/\?like=\d+&video=\d+$"))
    expect(cards(page)).to_have_count(3)
    page.get_by_role("button", name="Remove green, 0:00").click()
    expect(page.get_by_label("Describe a clip")).to_be_focused()
    expect(cards(page)).to_have_count(0)


def test_a_clip_that_is_not_there_is_told(visit: Visit) -> None:
    page = visit(expected="status of 404")
    page.goto("/?like=4711")
    expect(page.get_by_role("alert")).to_contain_text("There is no clip 4711 in this library.")
    page.goto("/?show=4711")
    expect(page.get_by_role("dialog")).to_contain_text("There is no clip 4711 in this library.")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile("/$"))
