"""What is told at the time of a hit: shown with the words marked, and where the player starts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, expect

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder
from service.settings import Settings
from tests.service.page.conftest import running

if TYPE_CHECKING:
    from tests.service.conftest import World

LINE = "1\n00:00:00,500 --> 00:00:01,200\nwhat the bank says of interest rates & <b>bonds</b>\n"


def test_the_line_of_a_hit(browser: Browser, built_world: World, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(built_world.videos / "red.mp4", tmp_path / "videos" / "red.mp4")
    (tmp_path / "videos" / "red.srt").write_text(LINE, encoding="utf-8")
    index_videos(tmp_path / "library", [tmp_path / "videos"], FakeEncoder())
    with running(Settings(library=tmp_path / "library")) as url:
        page = browser.new_page()
        page.goto(f"{url}/?q=interest+rates")
        quotation = page.locator(".card .told")
        expect(quotation).to_have_text("0:00 … bank says of interest rates & bonds")
        expect(quotation.locator("mark")).to_have_text(["interest", "rates"])
        expect(page.locator('.card .stack [data-level="words"]')).to_be_visible()
        page.locator(".card .screen").click()
        expect(page.locator("#viewer video")).to_have_attribute("src", re.compile(r"#t=0\.5$"))
        expect(page.locator("#viewer .told")).to_have_text("0:00 what the bank says of interest rates & bonds")
        expect(page.locator("#viewer .told mark")).to_have_text(["interest", "rates"])
        page.close()
