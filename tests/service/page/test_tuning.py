"""The sliders and the filters next to the results."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, Route, expect

from tests.service.page.conftest import Visit
from tests.service.page.looking import CLIPS, FOUND, QUERY, cards, keep_in, on_phone

ORDER = "[...document.querySelectorAll('#results .card')].map((card) => card.dataset.id)"


def slide(page: Page, level: str, value: float) -> None:
    page.get_by_role("slider", name=f"Weight of {level}").fill(str(value))


def opened(page: Page) -> None:
    """The sliders, which a phone keeps folded."""
    if on_phone(page):
        page.get_by_text("Weights and filters").click()


def test_sliders_rank_again_at_once(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    before = page.evaluate(ORDER)
    opened(page)
    held: list[Route] = []
    page.route("**/v1/search/clips", keep_in(held))
    with page.expect_request(lambda request: len((request.post_data_json or {}).get("weights", ())) == 3):
        for level in ("entity", "action", "relation"):
            slide(page, level, 0)
    # The service has not answered yet: the hits that are here are ranked by their global scores already.
    expect(cards(page).first.locator(".stack [data-level=action]")).to_be_hidden()
    at_once = page.evaluate(ORDER)
    assert at_once != before
    shown = cards(page).first.locator(".score").text_content()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    held[-1].continue_()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    # What the service says is what was shown: the page fuses as the service does.
    assert page.evaluate(ORDER) == at_once
    assert cards(page).first.locator(".score").text_content() == shown
    assert "entity%3D0%2Caction%3D0%2Crelation%3D0" in page.url


def test_a_drag_is_one_step_of_the_history(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    slider = page.get_by_role("slider", name="Weight of action")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    for part in (0.5, 0.6, 0.7, 0.8):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
    page.mouse.up()
    expect(page).to_have_url(re.compile("w=action%3D2"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("w="))
    expect(slider).to_have_value("1")


def test_weights_go_back_to_those_of_the_model(page: Page) -> None:
    page.goto(f"/?q={QUERY}&w=global%3D0%2Caction%3D3")
    expect(page.get_by_role("slider", name="Weight of action")).to_have_value("3")
    page.get_by_role("button", name="Reset weights").click()
    expect(cards(page).first.locator(".stack [data-level=global]")).to_be_visible()
    assert "w=" not in page.url
    expect(page.get_by_role("button", name="Reset weights")).to_be_hidden()


def test_no_weight_at_all_is_told(page: Page) -> None:
    page.goto(f"/?q={QUERY}&w=global%3D0%2Centity%3D0%2Caction%3D0%2Crelation%3D0")
    message = page.locator("#results .message")
    expect(message).to_contain_text("Raise at least one weight.")
    expect(page.get_by_role("status")).to_contain_text("All weights are 0")
    slide(page, "entity", 1)
    expect(cards(page)).to_have_count(FOUND)
    slide(page, "entity", 0)
    message.get_by_role("button", name="Reset weights").click()
    expect(cards(page)).to_have_count(FOUND)
    assert "w=" not in page.url


def test_only_in_one_video(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    opened(page)
    video = page.get_by_label("Video", exact=True)
    with page.expect_response("**/v1/videos?*"):
        video.focus()
    expect(page.locator("#videos option")).to_have_count(6)
    video.fill("film")
    expect(cards(page)).to_have_count(3)
    expect(page.get_by_role("list", name="Chosen videos")).to_contain_text("film")
    expect(video).to_have_value("")
    assert re.search(r"&video=\d+$", page.url)
    page.get_by_role("button", name="Remove the video film").click()
    expect(cards(page)).to_have_count(FOUND)


def test_only_in_videos_with_tags(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    opened(page)
    page.get_by_label("Fold similar").uncheck()
    tag = page.get_by_label("Tag", exact=True)
    tag.focus()
    expect(page.locator("#tags option")).to_have_count(3)
    tag.fill("dull")
    expect(cards(page)).to_have_count(4)
    expect(tag).to_have_value("")
    tag.fill("a film")
    # Videos with all of them.
    expect(cards(page)).to_have_count(3)
    assert page.url.endswith("&all=1&tag=dull%2Ca+film")
    expect(page.get_by_role("list", name="Chosen tags").get_by_role("listitem")).to_have_text(["dull", "a film"])
    page.get_by_role("button", name="Remove the tag a film").click()
    expect(cards(page)).to_have_count(4)


def test_tags_of_an_address_are_those_of_the_library(page: Page) -> None:
    page.goto("/?tag=WARM ,%20warm,!")
    expect(page.locator("#within")).to_contain_text("Searching only in videos tagged warm.")
    page.get_by_label("Describe a clip").fill(QUERY)
    expect(cards(page)).to_have_count(2)
    page.get_by_role("button", name="Clear filters").click()
    expect(cards(page)).to_have_count(FOUND)
    assert "tag" not in page.url


def test_without_tags_there_is_nothing_to_choose(page: Page) -> None:
    page.route("**/v1/tags?*", lambda route: route.fulfill(json={"total": 0, "offset": 0, "limit": 1000, "items": []}))
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_label("Video", exact=True)).to_be_visible()
    expect(page.get_by_label("Tag", exact=True)).to_be_hidden()


def test_a_library_of_many_videos_offers_those_that_fit(page: Page) -> None:
    asked: list[str] = []

    def many(route: Route) -> None:
        asked.append(parse_qs(urlsplit(route.request.url).query).get("q", [""])[0])
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"total": 10**6})

    page.route("**/v1/videos?*", many)
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    page.get_by_label("Video", exact=True).press_sequentially("FI")
    expect(page.locator("#videos option")).to_have_count(1)
    assert asked == ["", "F", "FI"]


def test_only_in_a_stretch_of_time(page: Page) -> None:
    page.goto(f"/?q={QUERY}&all=1")
    page.get_by_label("From second").fill("2.5")
    expect(cards(page)).to_have_count(2)
    page.get_by_label("To second").fill("3")
    expect(cards(page)).to_have_count(1)
    assert page.url.endswith("&all=1&from=2.5&to=3")
    page.get_by_role("button", name="Clear filters").click()
    expect(cards(page)).to_have_count(CLIPS)
    expect(page.get_by_label("To second")).to_have_value("")


def test_filters_that_leave_nothing_say_so(page: Page) -> None:
    page.goto(f"/?q={QUERY}&min=0.99")
    message = page.locator("#results .message")
    expect(message).to_contain_text("No clip passes these filters")
    message.get_by_role("button", name="Clear filters").click()
    expect(cards(page)).to_have_count(FOUND)


def test_a_phone_says_how_much_is_tuned(visit: Visit) -> None:
    page = visit("phone")
    page.goto(f"/?q={QUERY}&w=entity%3D2&min=-1")
    expect(cards(page)).to_have_count(FOUND)
    tuned: Locator = page.locator("#tuned")
    expect(tuned).to_have_text("2")
    expect(page.get_by_role("slider")).to_have_count(0)


def test_the_sliders_stay_in_sight(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("slider", name="Weight of global")).to_be_in_viewport()


def test_a_weight_of_one_in_the_address_is_not_taken_for_the_models(page: Page) -> None:
    def other_weights(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["levels"][1]["weight"] = 2.0
        route.fulfill(response=answer, json=body)

    page.route("**/v1/library", other_weights)
    page.goto(f"/?q={QUERY}&w=entity%3D1")
    entity = page.get_by_role("slider", name="Weight of entity")
    expect(page.locator("#library")).not_to_be_empty()
    expect(entity).to_have_value("1")
    page.get_by_role("button", name="Reset weights").click()
    expect(entity).to_have_value("2")
