"""Every example of docs/search.md runs: the client's against a service, the command line's as far as their options."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from model.fake_encoder import FakeEncoder
from quartet import Client, Part, Then
from service.cli import app
from service.http.app import create_app
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.conftest import World

PAGE = Path(__file__).parents[3] / "docs/search.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^    (quartet search .*)$", TEXT, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def client_of_films(films: World) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(library=films.library), FakeEncoder())) as client:
        yield client


def test_the_examples_of_the_client(client_of_films: TestClient, films: World, tmp_path: Path) -> None:
    assert len(EXAMPLES) >= 8
    picture = tmp_path / "shot.png"
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(picture)
    names = {
        "quartet": Client("http://testserver", http=client_of_films),
        "Part": Part,
        "Then": Then,
        "picture": picture,
        "film": films.library.parent / "films" / "film.mp4",
    }
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_the_command_line(
    command: str, films: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save("shot.png")
    Path("film.mp4").write_bytes((films.library.parent / "films" / "film.mp4").read_bytes())
    library = films.library
    if "--rerank" in command:
        library = shutil.copytree(films.library, tmp_path / "library")
        stored = CliRunner().invoke(app, ["index", str(films.videos), "--library", str(library), "--frame-vectors"])
        assert "8 clips encoded again, to change which vectors of frames" in stored.output, stored.output
    arguments = [str(library) if part == "my-library" else part for part in shlex.split(command)[1:]]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
