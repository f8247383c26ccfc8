"""Every line of docs/clients runs, against a service on a port."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from model.fake_encoder import FakeEncoder
from service.settings import Settings
from tests.service.running import running

if TYPE_CHECKING:
    from tests.service.conftest import World

PAGES = Path(__file__).parents[3] / "docs" / "clients"


@dataclass(frozen=True)
class Place:
    """A folder with the files that the pages name, and the address of the service in place of theirs."""

    folder: Path
    address: str

    def code(self, page: str, language: str) -> str:
        text = (PAGES / page).read_text(encoding="utf-8")
        blocks = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        assert len(blocks) == text.count("```") / 2
        return "\n".join(blocks).replace("localhost:8000", self.address)


@pytest.fixture
def place(world: World, tmp_path: Path) -> Iterator[Place]:
    folder, films = tmp_path / "here", tmp_path / "films"
    folder.mkdir()
    films.mkdir()
    (folder / "holiday.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + b"x")
    (folder / "concert.mp4").write_bytes((world.videos / "blue.mp4").read_bytes() + b"x")
    (films / "new.mp4").write_bytes((world.videos / "red.mp4").read_bytes() + b"y")
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(folder / "shot.png")
    settings = Settings(
        library=world.library, model="fake", api_key="a-key-of-some-length", upload_folder=tmp_path / "uploads",
        job_folders={"films": films},
    )  # fmt: skip
    with running(settings, FakeEncoder()) as service:
        yield Place(folder, service.url.removeprefix("http://"))


def test_python(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place.folder)
    exec(compile(place.code("python.md", "python"), "python.md", "exec"), {})
    said = capsys.readouterr().out
    assert "done 1 []" in said and "There is no clip 4711" in said
    assert (place.folder / "selection.m3u8").read_text(encoding="utf-8").startswith("#EXTM3U")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_javascript(place: Place) -> None:
    (place.folder / "page.mjs").write_text(place.code("javascript.md", "js"), encoding="utf-8")
    assert ran("node", "page.mjs", folder=place.folder).endswith("done\n1\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(place: Place) -> None:
    said = ran("bash", "-euo", "pipefail", "-c", place.code("curl.md", "sh"), folder=place.folder)
    assert "event: job" in said and '"state":"done"' in said and "Holiday by the sea" in said
    assert (place.folder / "selection.csv").stat().st_size


def ran(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
