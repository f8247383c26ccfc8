"""The examples of docs/texts.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from indexer.ingest.index_run import index_videos
from model.fake_encoder import FakeEncoder
from quartet import Client
from quartet.schemas.search import Filter
from service.settings import Settings
from tests.service.conftest import write_film
from tests.service.running import running

DOC = (Path(__file__).parents[3] / "docs" / "texts.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    write_film(tmp_path / "videos" / "film.mp4")
    line = "1\n00:00:01,000 --> 00:00:02,000\nrising interest rates\n"
    (tmp_path / "videos" / "film.en.srt").write_text(line, encoding="utf-8")
    index_videos(tmp_path / "library", [tmp_path / "videos"], FakeEncoder())
    examples = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    assert len(examples) == 3
    with running(Settings(library=tmp_path / "library"), FakeEncoder()) as service, Client(service.url) as quartet:
        names = {"quartet": quartet, "Filter": Filter}
        for example in examples:
            exec(example, names)
    assert capsys.readouterr().out.startswith("rising interest rates 1.0 0.")
