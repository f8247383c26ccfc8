"""Searching: as one types, why a clip was found, more of it, and the address that can be shared."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.service.page.conftest import Visit
from tests.service.page.looking import FOUND, QUERY, cards, keep_in

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>'


def test_searches_as_one_types(any_page: Page) -> None:
    page = any_page
    asked: list[Request] = []
    page.on("request", lambda request: "/v1/search/" in request.url and asked.append(request))
    with page.expect_response(lambda got: "/search/" in got.url and got.request.post_data_json["query"] == QUERY):
        page.goto("/")
        page.get_by_label("Describe a clip").press_sequentially(QUERY)
    expect(cards(page)).to_have_count(FOUND)
    expect(page).to_have_url(re.compile(r"/\?q=a\+red\+square\+sliding$"))
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"Top 5 clips \([\d.]+ ms\)"))
    # The last question is the whole sentence.
    assert asked[-1].post_data_json["query"] == QUERY
    assert asked[-1].post_data_json["diverse"] and asked[-1].post_data_json["per_video"] == 6
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
    page.goto("/")
    with page.expect_request("**/v1/search/clips"):
        page.get_by_label("Describe a clip").fill("blue")
    with page.expect_event("requestfailed", lambda request: request.post_data_json["query"] == "blue"):
        page.get_by_label("Describe a clip").fill(QUERY)
    expect(page.locator("#read")).to_contain_text("a red square sliding")
    assert len(held) == 1


def test_bars_and_words_say_why(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    details = page.get_by_role("tooltip")
    for i in range(2):
        card = cards(page).nth(i)
        card.locator(".screen").hover()
        # The details of the first card give way to those of the second.
        expect(details).to_contain_text(card.locator(".title").inner_text())
        assert float(details.locator(".score").inner_text()) == pytest.approx(
            float(card.locator(".score").inner_text()), abs=0.0051
        )
        bars = details.locator(".bars li")
        names = [bar.get_attribute("data-level") for bar in bars.all()]
        assert names == ["global", "entity", "action", "relation", "words"]
        told = bars.locator(".value").all_text_contents()
        given = [float(value.replace("\N{MINUS SIGN}", "-")) for value in told if value != "\N{EN DASH}"]
        assert sum(given) == pytest.approx(float(details.locator(".score").text_content()), abs=0.003)
        # The one bar of the card has the same parts.
        parts = card.locator(".stack span:not([hidden])")
        assert [part.get_attribute("data-level") for part in parts.all()] == [
            name for name, value in zip(names, told, strict=True) if value not in ("\N{EN DASH}", "0.000")
        ]
        # The fake encoder sees the first word of each level; the others were asked for and are not there.
        assert details.locator(".chips li:not(.missing)").all_text_contents() == [
            "a",
            "sliding",
            "a red square sliding",
        ]
        missing = details.locator(".chips .missing").all_text_contents()
        assert [re.sub(r"\s*\(not seen\)", "", word) for word in missing] == ["red", "square"]
    page.mouse.move(1, 1)
    expect(details).to_be_hidden()
    expect(page.locator("#read")).to_have_text(re.compile(r"Understood as\s*a\s*red\s*square\s*sliding"))


def test_a_level_without_words_is_marked(page: Page) -> None:
    page.goto("/?q=square")
    cards(page).first.locator(".screen").hover()
    silent = page.get_by_role("tooltip").locator(".bars .silent:not([data-level=words])")
    expect(silent).to_have_count(2)
    assert [bar.get_attribute("data-level") for bar in silent.all()] == ["action", "relation"]
    expect(silent.first.locator(".value")).to_have_text("\N{EN DASH}")


def many_hits(page: Page, total: int) -> list[dict[str, object]]:
    """Answers with made-up hits, `total` in all: the library is small. Returns what was asked for."""
    asked: list[dict[str, object]] = []

    def made_up(route: Route) -> None:
        wanted = route.request.post_data_json
        asked.append(wanted)
        answer = route.fetch(post_data={**wanted, "k": 1, "offset": 0})
        body = answer.json()
        body["fit"] = None
        numbers = range(wanted["offset"], min(wanted["offset"] + wanted["k"], total))
        body["hits"] = [{**body["hits"][0], "clip_id": 1000 + i, "title": f"hit {i}", "alike": []} for i in numbers]
        route.fulfill(response=answer, json=body)

    page.route("**/v1/search/clips", made_up)
    page.route(
        "**/v1/clips/*/thumbnail", lambda route: route.fulfill(status=200, content_type="image/svg+xml", body=PICTURE)
    )
    return asked


def test_a_desk_shows_fifteen_hits_and_a_phone_four(visit: Visit) -> None:
    for size, least in (("laptop", 15), ("phone", 4), ("narrow", 2)):
        page = visit(size)
        many_hits(page, 48)
        page.goto(f"/?q={QUERY}")
        expect(cards(page).first).to_be_visible()
        whole = page.evaluate(
            "[...document.querySelectorAll('#results .card')].map((card) => card.getBoundingClientRect())"
            ".filter(({ top, bottom }) => top >= 0 && bottom <= innerHeight).length"
        )
        assert whole >= least, size


def test_a_thousand_hits_are_drawn_where_they_are_seen(page: Page) -> None:
    many_hits(page, 1000)
    page.add_init_script("history.replaceState({ depth: 1000 }, '')")
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("status").first).to_contain_text("Top 1,000 clips")
    assert cards(page).count() < 120
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = cards(page).filter(has_text=re.compile("^hit 999"))
    expect(page.get_by_role("link", name="Open hit 999 at")).to_be_in_viewport()
    assert cards(page).count() < 120
    # Their places are told though not all of them are drawn.
    card = page.locator("#results .card[data-id='1999']")
    expect(card).to_have_attribute("aria-posinset", "1000")
    expect(card).to_have_attribute("aria-setsize", "1000")
    # The keyboard reaches what is not drawn yet.
    card.locator(".screen").focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    columns = int(page.locator(".grid[data-columns]").first.get_attribute("data-columns"))
    expect(page.locator(f"#results .card[data-id='{1999 - 3 * columns}'] .screen")).to_be_focused()
    assert last is not None


def test_pictures_can_be_larger(page: Page) -> None:
    many_hits(page, 48)
    page.goto(f"/?q={QUERY}")
    expect(cards(page).first).to_be_visible()
    small = cards(page).first.bounding_box()["width"]
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Large").check()
    assert cards(page).first.bounding_box()["width"] > 1.4 * small
    page.reload()
    expect(cards(page).first).to_be_visible()
    assert cards(page).first.bounding_box()["width"] > 1.4 * small


def test_more_hits_come_at_the_end_of_the_list(page: Page) -> None:
    asked = many_hits(page, 130)
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("status").first).to_contain_text("Top 48 clips")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("status").first).to_contain_text("Top 96 clips")
    assert [(one["offset"], one["k"]) for one in asked] == [(0, 48), (48, 48)]
    page.get_by_role("button", name="More clips").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Top 130 clips")
    expect(page.get_by_role("button", name="More clips")).to_have_count(0)
    # A list that has grown stays as long under other weights, after Back and when the page is loaded again.
    page.evaluate("scrollTo(0, 0)")
    with page.expect_response("**/v1/search/clips"):
        page.get_by_role("slider", name="Weight of action").fill("2")
    expect(page).to_have_url(re.compile("w=action"))
    expect(page.get_by_role("status").first).to_contain_text("Top 130 clips")
    page.reload()
    expect(page.get_by_role("status").first).to_contain_text("Top 130 clips")
    # Another question begins at the top.
    page.get_by_label("Describe a clip").fill("another thing")
    expect(page.get_by_role("status").first).to_contain_text("Top 48 clips")
    page.go_back()
    expect(page.get_by_role("status").first).to_contain_text("Top 130 clips")


def test_examples_are_links(page: Page) -> None:
    page.goto("/")
    examples = page.get_by_role("list", name="Example queries").get_by_role("link")
    expect(examples).to_have_count(3)
    # Pictures of this library.
    page.wait_for_function("() => [...document.querySelectorAll('#examples img')].every((image) => image.naturalWidth)")
    example = examples.first
    text = example.inner_text()
    example.click()
    expect(page.get_by_label("Describe a clip")).to_have_value(text)
    expect(cards(page)).to_have_count(FOUND)
    assert page.title() == f"{text} \N{MIDDLE DOT} Quartet"


def test_a_shared_address_shows_the_same(page: Page) -> None:
    page.goto("/?q=a+red+square+sliding&w=global%3D0%2Caction%3D3&min=-1&show=2")
    expect(page.get_by_role("dialog")).to_contain_text("Why it was found")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/\?q=a\+red\+square\+sliding&w=global%3D0%2Caction%3D3&min=-1$"))
    expect(page.get_by_role("slider", name="Weight of action")).to_have_value("3")
    expect(page.get_by_label("Minimum score")).to_have_value("-1")
    expect(cards(page).first.locator(".stack [data-level=global]")).to_be_hidden()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_an_address_that_makes_no_sense_is_the_start_page(page: Page) -> None:
    page.goto("/?q=++&like=x&w=entity=-3,foo=1&from=-1&video=a,0&show=-2&tab=nowhere")
    expect(page.get_by_role("heading", name="Find the moment in your videos")).to_be_visible()
    expect(page.get_by_role("slider")).to_have_count(0)


def test_typing_does_not_wait_for_the_library(page: Page) -> None:
    asked: list[Route] = []
    page.route("**/v1/library", keep_in(asked))
    with page.expect_request("**/v1/library"):
        page.goto("/")
    page.get_by_label("Describe a clip").fill("a red square")
    expect(cards(page)).to_have_count(FOUND)
    asked.pop().continue_()
    expect(page.locator("#library")).to_have_text("8 clips \N{MIDDLE DOT} 6 videos \N{MIDDLE DOT} 5 captions")
    expect(page.get_by_label("Describe a clip")).to_have_value("a red square")


def test_keys_lead_through_the_hits(page: Page) -> None:
    many_hits(page, 48)
    page.goto(f"/?q={QUERY}")
    expect(cards(page).first).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Describe a clip")).to_be_focused()
    page.keyboard.press("ArrowDown")
    screens = page.locator(".grid:not([hidden]) .screen")
    expect(screens.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(screens.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    boxes = [screen.bounding_box() for screen in screens.all()]
    below = next(i for i, box in enumerate(boxes) if box["y"] > boxes[1]["y"] and box["x"] == boxes[1]["x"])
    expect(screens.nth(below)).to_be_focused()


def test_the_api_reference_works_offline(visit: Visit) -> None:
    page = visit()
    page.goto("/docs")
    # Swagger UI is large, and a busy machine takes its time to draw it.
    expect(page.get_by_text("/v1/search/clips", exact=True).first).to_be_visible()
