"""The page follows from the levels that the API names: a fifth one gets its bar, its slider and its colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder
from model.levels import LEVEL_NAMES
from service.settings import Settings
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import FOUND, QUERY, cards

if TYPE_CHECKING:
    from tests.service.conftest import World

FIVE = (*LEVEL_NAMES, "sound")


@pytest.fixture(scope="module")
def five(built_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose model has five levels."""
    library: Path = tmp_path_factory.mktemp("five") / "library"
    index_videos(library, [built_world.videos], FakeEncoder(levels=FIVE))
    with running(Settings(library=library), FakeEncoder(levels=FIVE)) as address:
        yield address


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_a_fifth_level_has_its_bar_its_slider_and_its_colour(visit: Visit, five: str, size: str) -> None:
    page = visit(size, at=five)
    page.goto("/")
    expect(page.locator("#legend dt")).to_have_text(list(FIVE))
    page.goto(f"/?q={QUERY}&w=sound=2")
    expect(cards(page)).to_have_count(5)
    first = cards(page).first
    bars = first.locator(".stack span")
    expect(bars).to_have_count(5)
    expect(bars.last).to_have_attribute("data-level", "sound")
    colours = [bar.evaluate("bar => getComputedStyle(bar).backgroundColor") for bar in bars.all()]
    assert len(set(colours)) == 5
    if size == "phone":
        page.get_by_text("Weights and filters").click()
    slider = page.get_by_role("slider", name="Weight of sound")
    expect(slider).to_have_value("2")
    slider.fill("0")
    expect(bars.last).to_be_hidden()
    first.get_by_role("link", name="Open").click()
    expect(page.get_by_role("dialog").get_by_role("row", name="sound")).to_be_visible()


def test_a_weight_of_a_level_that_the_model_lacks_is_dropped(visit: Visit, address: str) -> None:
    page = visit(at=address)
    with page.expect_request("**/v1/search/clips") as sent:
        page.goto(f"/?q={QUERY}&w=sound=2,action=2")
    expect(cards(page)).to_have_count(FOUND)
    assert sent.value.post_data_json["weights"] == {"action": 2}
