"""Sentences for a clip of the library and for a video that is dropped."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.service.page.conftest import Visit
from tests.service.page.looking import FOUND, QUERY, cards

if TYPE_CHECKING:
    from tests.service.conftest import World

DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: "video/mp4" }));
  const at = (type) => document.body.dispatchEvent(
    new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
  at("dragover");
  const invited = document.body.classList.contains("dropping");
  at("drop");
  return invited;
}"""


def test_describes_a_hit(any_page: Page) -> None:
    page = any_page
    page.goto(f"/?q={QUERY}")
    cards(page).filter(has_text="red").locator(".screen").click()
    page.get_by_role("dialog").get_by_role("link", name="Captions for red").click()
    expect(cards(page).locator(".rank")).to_have_text(["1", "2", "3", "4", "5"])
    assert cards(page).first.locator(".bars li:not([hidden])").count() == 4
    expect(page.locator("#subject")).to_contain_text("a red square sliding past a wall")
    expect(page.get_by_role("navigation").get_by_role("link", name="Describe")).to_have_attribute(
        "aria-current", "page"
    )
    expect(page).to_have_url(re.compile(r"/\?clip=\d+$"))
    # From a sentence back to clips.
    text = cards(page).first.locator("p").first.inner_text()
    cards(page).first.get_by_role("link", name=f"Find clips for: {text}").click()
    expect(page.get_by_label("Describe a clip")).to_have_value(text)
    expect(cards(page)).to_have_count(FOUND)
    page.go_back()
    expect(cards(page)).to_have_count(5)


def test_describes_a_chosen_video(any_page: Page, films: World) -> None:
    page = any_page
    page.goto("/")
    page.get_by_role("navigation").get_by_role("link", name="Describe").click()
    page.get_by_label("Choose a video").set_input_files(films.videos / "green.mp4")
    expect(cards(page)).to_have_count(5)
    expect(page.locator("#subject")).to_contain_text("green.mp4")
    # It is on this machine only, so there is no address to share.
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()


def test_describes_a_dropped_video(page: Page, films: World) -> None:
    page.goto("/?tab=captions")
    data = base64.b64encode((films.videos / "blue.mp4").read_bytes()).decode()
    assert page.evaluate(DROP, ["blue.mp4", data])
    expect(page.locator("#subject")).to_contain_text("blue.mp4")
    expect(cards(page)).to_have_count(5)
    page.wait_for_function("() => document.querySelector('#subject video').readyState >= 2")
    # The sliders and the minimum score work here too; videos and times do not.
    page.get_by_role("slider", name="Weight of global").fill("0")
    expect(cards(page).first.locator(".bars [data-level=global]")).to_have_class("silent")
    expect(page.get_by_label("Video", exact=True)).to_be_hidden()
    page.get_by_label("Minimum score").fill("0.999")
    expect(page.locator("#results .message")).to_contain_text("No caption reaches the minimum score")


@pytest.mark.parametrize("name", ["empty.mp4", "no [b]markup.mp4"])
def test_a_file_that_is_no_video_is_told(visit: Visit, films: World, name: str) -> None:
    page = visit(expected="status of 422")
    page.goto("/?tab=captions")
    page.get_by_label("Choose a video").set_input_files(films.videos / name)
    expect(page.get_by_role("alert")).to_contain_text("The video cannot be used")
    expect(page.locator("#subject")).to_contain_text(name)
    page.get_by_label("Choose a video").set_input_files(films.videos / "red.mp4")
    expect(cards(page)).to_have_count(5)
    expect(page.get_by_role("alert")).to_have_count(0)
