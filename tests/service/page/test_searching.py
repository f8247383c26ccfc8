"""Searching: as one types, why a clip was found, more of it, and the address that can be shared."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.service.page.looking import QUERY, cards, keep_in, type_query

CLIPS = 8


def test_searches_as_one_types(any_page: Page) -> None:
    page = any_page
    asked: list[Request] = []
    page.on("request", lambda request: "/v1/search/" in request.url and asked.append(request))
    type_query(page)
    expect(cards(page)).to_have_count(CLIPS)
    expect(page).to_have_url(re.compile(r"/\?q=a\+red\+square\+sliding$"))
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"Best 8 clips in [\d.]+ ms, exact"))
    # The last question is the whole sentence, and not every letter was a question.
    assert asked[-1].post_data_json["query"] == QUERY
    assert len(asked) < len(QUERY)
    # The typing is one step of the history.
    page.go_back()
    expect(page.get_by_label("Describe a clip")).to_have_value("")
    expect(cards(page)).to_have_count(0)


def test_a_slow_answer_to_an_older_question_is_never_shown(page: Page) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if route.request.post_data_json["query"] == "blue":
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/search/clips", hold_the_first)
    with page.expect_request("**/v1/search/clips"):
        type_query(page, "blue")
    with page.expect_event("requestfailed", lambda request: request.post_data_json["query"] == "blue"):
        page.get_by_label("Describe a clip").fill(QUERY)
    expect(page.locator("#read")).to_contain_text("a red square sliding")
    assert len(held) == 1


def test_bars_and_words_say_why(any_page: Page) -> None:
    page = any_page
    type_query(page)
    expect(cards(page)).to_have_count(CLIPS)
    # Texts as they are: a browser draws none of a card that is out of sight.
    for card in cards(page).all():
        bars = card.locator(".bars li")
        names = [bar.get_attribute("data-level") for bar in bars.all()]
        assert names == ["global", "entity", "action", "relation", "words"]
        told = bars.locator(".value").all_text_contents()
        given = [float(value.replace("\N{MINUS SIGN}", "-")) for value in told if value != "\N{EN DASH}"]
        assert sum(given) == pytest.approx(float(card.locator(".score").text_content()), abs=0.003)
        # The fake encoder sees the first word of each level; the others were asked for and are not there.
        assert card.locator(".chips li:not(.missing)").all_text_contents() == ["a", "sliding", "a red square sliding"]
        missing = card.locator(".chips .missing").all_text_contents()
        assert [re.sub(r"\s*\(not seen\)", "", word) for word in missing] == ["red", "square"]
    expect(page.locator("#read")).to_have_text(re.compile(r"Read as\s*a\s*red\s*square\s*sliding"))


def test_a_level_without_words_is_marked(page: Page) -> None:
    page.goto("/?q=square")
    silent = cards(page).first.locator(".bars .silent:not([data-level=words])")
    expect(silent).to_have_count(2)
    assert [bar.get_attribute("data-level") for bar in silent.all()] == ["action", "relation"]
    expect(silent.first.locator(".value")).to_have_text("\N{EN DASH}")


def test_more_hits_continue_the_list(page: Page) -> None:
    # The library is small, so the page gets made-up hits. The second part repeats four of the first.
    def made_up(route: Route) -> None:
        wanted = route.request.post_data_json
        answer = route.fetch(post_data={**wanted, "k": 1, "offset": 0})
        body = answer.json()
        numbers = range(24) if wanted["offset"] == 0 else range(20, 40)
        body["hits"] = [{**body["hits"][0], "clip_id": 1000 + i} for i in numbers]
        route.fulfill(response=answer, json=body)

    page.route("**/v1/search/clips", made_up)
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(24)
    page.get_by_role("button", name="More clips").click()
    expect(cards(page)).to_have_count(40)
    expect(page.get_by_role("status")).to_contain_text("Best 40 clips")
    expect(cards(page).nth(24).locator(".screen")).to_be_focused()
    expect(page.get_by_role("button", name="More clips")).to_have_count(0)


def test_a_list_that_has_grown_stays_as_long(page: Page) -> None:
    def made_up(route: Route) -> None:
        wanted = route.request.post_data_json
        answer = route.fetch(post_data={**wanted, "k": 1, "offset": 0})
        body = answer.json()
        numbers = range(wanted["offset"], min(wanted["offset"] + wanted["k"], 130))
        body["hits"] = [{**body["hits"][0], "clip_id": 1000 + i} for i in numbers]
        route.fulfill(response=answer, json=body)

    page.route("**/v1/search/clips", made_up)
    page.goto(f"/?q={QUERY}")
    # More than the service gives at a time.
    for shown in (24, 48, 72, 96):
        expect(cards(page)).to_have_count(shown)
        page.get_by_role("button", name="More clips").click()
    expect(cards(page)).to_have_count(120)

    def rests() -> None:
        expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
        expect(cards(page)).to_have_count(120)

    with page.expect_response("**/v1/search/clips"):
        page.get_by_role("slider", name="Weight of action").fill("2")
    rests()
    assert "w=action" in page.url
    page.go_back()
    expect(page).not_to_have_url(re.compile("w="))
    rests()
    page.go_forward()
    expect(page).to_have_url(re.compile("w=action"))
    rests()
    page.reload()
    rests()
    page.get_by_role("button", name="More clips").click()
    expect(cards(page)).to_have_count(130)
    expect(page.get_by_role("button", name="More clips")).to_have_count(0)
    # Another question begins at the top, and Back leads to where the list was left.
    page.get_by_label("Describe a clip").fill("another thing")
    expect(cards(page)).to_have_count(24)
    page.go_back()
    expect(cards(page)).to_have_count(130)


def test_examples_are_links(page: Page) -> None:
    page.goto("/")
    example = page.get_by_role("list", name="Example queries").get_by_role("link").first
    text = example.inner_text()
    example.click()
    expect(page.get_by_label("Describe a clip")).to_have_value(text)
    expect(cards(page)).to_have_count(CLIPS)
    assert page.title() == f"{text} \N{MIDDLE DOT} Quartet"


def test_a_shared_address_shows_the_same(page: Page) -> None:
    page.goto("/?q=a+red+square+sliding&w=global%3D0%2Caction%3D3&min=-1&show=2")
    expect(page.get_by_role("dialog")).to_contain_text("Why it was found")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/\?q=a\+red\+square\+sliding&w=global%3D0%2Caction%3D3&min=-1$"))
    expect(page.get_by_role("slider", name="Weight of action")).to_have_value("3")
    expect(page.get_by_label("Minimum score")).to_have_value("-1")
    expect(cards(page).first.locator(".bars [data-level=global]")).to_have_class("silent")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_an_address_that_makes_no_sense_is_the_start_page(page: Page) -> None:
    page.goto("/?q=++&like=x&w=entity=-3,foo=1&from=-1&video=a,0&show=-2&tab=nowhere")
    expect(page.get_by_role("heading", name="Say what happens. See it.")).to_be_visible()
    expect(page.get_by_role("slider")).to_have_count(0)


def test_typing_does_not_wait_for_the_library(page: Page) -> None:
    asked: list[Route] = []
    page.route("**/v1/library", keep_in(asked))
    with page.expect_request("**/v1/library"):
        page.goto("/")
    page.get_by_label("Describe a clip").fill("a red square")
    expect(cards(page)).to_have_count(CLIPS)
    asked.pop().continue_()
    expect(page.locator("#library")).to_have_text("8 clips of 6 videos \N{MIDDLE DOT} 5 captions")
    expect(page.get_by_label("Describe a clip")).to_have_value("a red square")


def test_keys_lead_through_the_hits(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(CLIPS)
    page.keyboard.press("/")
    expect(page.get_by_label("Describe a clip")).to_be_focused()
    page.keyboard.press("ArrowDown")
    screens = page.locator(".grid .screen")
    expect(screens.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(screens.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    boxes = [screen.bounding_box() for screen in screens.all()]
    below = next(i for i, box in enumerate(boxes) if box["y"] > boxes[1]["y"] and box["x"] == boxes[1]["x"])
    expect(screens.nth(below)).to_be_focused()


def test_the_api_reference_works_offline(visit) -> None:
    page = visit()
    page.goto("/docs")
    expect(page.get_by_text("/v1/search/clips", exact=True).first).to_be_visible()
