"""The question as parts: sentences, clips, files, reactions, a sequence; what is weak; saved and recent searches."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from service.settings import Settings
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import QUERY, answer_to, cards

if TYPE_CHECKING:
    from tests.service.conftest import World

CARRY = """([kind, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  const init = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(
    kind === "paste"
      ? new ClipboardEvent("paste", { ...init, clipboardData: carried })
      : new DragEvent(kind, { ...init, dataTransfer: carried }));
}"""


def picture() -> str:
    kept = BytesIO()
    Image.new("RGB", (64, 48), (200, 40, 40)).save(kept, "PNG")
    return base64.b64encode(kept.getvalue()).decode()


def test_sentences_are_added_changed_and_removed(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    page.get_by_role("button", name="Add to the question").click()
    page.get_by_role("button", name="Not …").click()
    page.get_by_label("Not in the clip").fill("a dog")
    expect(page).to_have_url(re.compile(r"&not=a\+dog$"))
    page.get_by_role("button", name="Add to the question").click()
    page.get_by_role("button", name="And …").click()
    with answer_to(page, query=QUERY, parts=[{"text": "a dog", "weight": -0.25}, {"text": "a wall"}]):
        page.get_by_label("Also in the clip").fill("a wall")
    # What a part means can be changed.
    with answer_to(page, query=QUERY, parts=[{"text": "a dog"}, {"text": "a wall"}]):
        page.get_by_label("What this part means").first.select_option("and")
    page.reload()
    parts = page.get_by_role("list", name="Parts of the question").get_by_role("listitem")
    expect(parts).to_have_count(2)
    page.get_by_role("button", name="Remove a dog").click()
    expect(parts).to_have_count(1)
    expect(page.get_by_role("button", name="Remove a wall")).to_be_focused()
    expect(page).to_have_url(re.compile(r"sliding&and=a\+wall$"))


def test_one_thing_after_another(page: Page) -> None:
    then = {"parts": [{"text": "a blue square"}]}
    with answer_to(page, query="a red square", then=[then]):
        page.goto("/?q=a+red+square&then=a+blue+square")
    expect(cards(page).first.locator(".moments img")).to_have_count(2)
    with answer_to(page, then=[{**then, "within": 20}]):
        page.get_by_label("within").fill("20")
        page.get_by_label("within").press("Enter")
    cards(page).first.locator(".screen").click()
    page.get_by_role("button", name="Next moment").click()
    expect(page).to_have_url(re.compile(r"within=20&show=\d+$"))


def test_a_sequence_that_nobody_shows_offers_more_time(page: Page) -> None:
    page.goto("/?q=a+red+square&then=a+blue+square&then=a+dog&then=a+cat&within=0")
    expect(page.locator("#results")).to_contain_text("No video shows this sequence")
    page.get_by_role("button", name="Allow 10 minutes").click()
    expect(page).to_have_url(re.compile("within=600"))


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted_anywhere(page: Page, kind: str) -> None:
    page.goto(f"/?q={QUERY}")
    expect(cards(page).first).to_be_visible()
    with page.expect_request(lambda sent: "upload" in ((sent.post_data_json or {}).get("parts") or [{}])[0]) as sent:
        page.evaluate(CARRY, [kind, "shot.png", "image/png", picture()])
    assert re.fullmatch(r"[\w-]+", sent.value.post_data_json["parts"][0]["upload"])
    part = page.get_by_role("list", name="Parts of the question").get_by_role("listitem")
    expect(part).to_contain_text("shot.png")
    page.wait_for_function("() => document.querySelector('#parts img').naturalWidth === 64")
    expect(cards(page).first).to_be_visible()
    # The service forgets uploads: the page says so, and what to do.
    page.get_by_role("button", name="Saved and recent searches").click()
    expect(page.locator("#saved")).to_contain_text("cannot be saved")


def test_an_upload_that_is_gone_can_be_removed(visit: Visit) -> None:
    page = visit(expected="status of 404")
    page.goto(f"/?q={QUERY}&file=0123456789abcdef~shot.png")
    page.get_by_role("button", name="Remove the file").click()
    expect(cards(page).first).to_be_visible()
    assert "file=" not in page.url


def test_a_file_that_is_no_video_is_told(visit: Visit) -> None:
    page = visit(expected="status of 422")
    page.goto("/")
    page.evaluate(CARRY, ["drop", "notes.txt", "text/plain", base64.b64encode(b"words").decode()])
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
    page.locator("#upload-state").get_by_role("button", name="Close").click()
    expect(page.locator("#upload-state")).to_be_hidden()


def test_reactions_to_hits_are_parts(page: Page) -> None:
    page.goto(f"/?q={QUERY}")
    first = cards(page).first
    clip = int(first.get_attribute("data-id"))
    first.hover()
    with answer_to(page, more_like=[clip]):
        first.get_by_role("link", name="More like this").click()
    part = page.get_by_role("list", name="Parts of the question").get_by_role("listitem")
    expect(part).to_contain_text("more like")
    expect(page).to_have_url(re.compile(rf"&more={clip}$"))
    # The other reaction takes its place.
    page.locator(f"#results .card[data-id='{clip}'] .screen").click()
    page.get_by_role("dialog").get_by_role("link", name="Less like this").click()
    expect(page).to_have_url(re.compile(rf"&less={clip}$"))
    expect(part).to_have_count(1)


def answer_with(page: Page, likelihoods: list[float]) -> None:
    def made_up(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        best = max(likelihoods)
        body["fit"] = {"likelihood": best, "nothing_fits": best < 0.5, "weak": 0.5, "basis": "captions"}
        body["hits"] = [
            {**body["hits"][0], "clip_id": i, "likelihood": value} for i, value in enumerate(likelihoods, 1)
        ]
        route.fulfill(response=answer, json=body)

    page.route("**/v1/search/clips", made_up)


def test_weak_matches_stand_below_a_line(page: Page) -> None:
    answer_with(page, [0.9, 0.3, 0.8, 0.1])
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("heading", name="Weak matches below")).to_be_visible()
    ids = "(list) => [...list.querySelectorAll('.card')].map((card) => card.dataset.id)"
    assert page.get_by_role("list", name="Clips that match").evaluate(ids) == ["1", "3"]
    assert page.get_by_role("list", name="Weak matches").evaluate(ids) == ["2", "4"]


def test_nothing_that_fits_is_told(page: Page) -> None:
    answer_with(page, [0.3, 0.1])
    page.goto(f"/?q={QUERY}")
    expect(page.locator("#results")).to_contain_text("Nothing in this library fits the question.")
    expect(page.get_by_role("heading", name="The closest clips")).to_be_visible()


def test_searches_are_saved_and_forgotten(visit: Visit, world: World) -> None:
    with running(Settings(library=world.library)) as address:
        page = visit(at=address)
        page.goto(f"/?q={QUERY}&not=a+dog&min=-1")
        expect(cards(page).first).to_be_visible()
        menu = page.locator("#saved")
        page.get_by_role("button", name="Saved and recent searches").click()
        menu.get_by_label("Save this search as").fill("red things")
        menu.get_by_role("button", name="Save", exact=True).click()
        expect(menu.get_by_role("link", name="red things")).to_be_visible()
        expect(menu).to_contain_text("Recent searches")
        page.goto("/")
        page.get_by_role("button", name="Saved and recent searches").click()
        menu.get_by_role("link", name="red things").click()
        expect(menu).to_be_hidden()
        expect(page).to_have_url(re.compile(r"\?q=a\+red\+square\+sliding&not=a\+dog&min=-1$"))
        expect(cards(page).first).to_be_visible()
        page.get_by_role("button", name="Saved and recent searches").click()
        menu.get_by_role("button", name="Delete red things").click()
        expect(menu).to_contain_text("None yet.")
        page.goto("about:blank")


def test_what_was_typed_on_the_way_is_no_recent_search(page: Page) -> None:
    page.goto("/")
    for text in ("a red", "a red square", "something else"):
        page.get_by_label("Describe a clip").fill(text)
        # The answer is on the page.
        expect(page.locator("#read").get_by_text(text, exact=True)).to_be_visible()
    page.get_by_role("button", name="Saved and recent searches").click()
    recent = page.locator("#saved div").last
    expect(recent.get_by_role("link")).to_have_text(["something else", "a red square"])
    recent.get_by_role("button", name="Clear recent searches").click()
    expect(page.locator("#saved")).not_to_contain_text("Recent searches")
