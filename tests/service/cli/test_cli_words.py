"""Saved searches, filters and cutting on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from indexer.catalog.saved_searches import saved_search
from indexer.ingest.index_run import index_videos
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from service.cli import app
from service.cli.library.watch import run_notify
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.conftest import World


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_saved_search_tells_what_is_new(
    world: World, tmp_path: Path, make_video: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", str(world.library))
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    run("searches", "save", "squares", "a violet square", "--longest", "100")
    assert "is in order" in run("verify")  # not called damaged
    assert "squares" in run("searches", "list")
    assert "Nothing new" in run("searches", "new", "squares")
    (tmp_path / "more").mkdir()
    make_video(tmp_path / "more" / "violet.mp4", (150, 40, 200))
    index_videos(world.library, [tmp_path / "more"], FakeEncoder())
    assert "violet" in run("searches", "new", "squares", "--keep")
    kept = tmp_path / "told.json"
    script = tmp_path / "keep.py"
    script.write_text(f"import sys\nopen({str(kept)!r}, 'a').write(sys.stdin.read())\n", encoding="utf-8")
    settings = Settings(library=world.library)
    assert run_notify(settings, FakeEncoder(), f"{sys.executable} -c 'raise SystemExit(1)'") == 0
    assert run_notify(settings, FakeEncoder(), f"{sys.executable} {script}") == 1
    (told,) = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
    assert told["search"] == "squares"
    assert [hit["title"] for hit in told["answer"]["hits"]] == ["violet"]
    assert run_notify(settings, FakeEncoder(), f"{sys.executable} {script}") == 0
    with Library.open(world.library) as library:
        assert json.loads(saved_search(library.catalog.engine, "squares").request)["filter"] == {"longest": 100.0}
    run("searches", "remove", "squares")
    assert "no saved searches" in run("searches", "list")


def test_filters(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", str(world.library))
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    answer = json.loads(run("search", "a square", "--words", '"red square"', "--json"))
    assert [hit["title"] for hit in answer["hits"]] == ["red"]
    assert "No clip matches these filters" in run("search", "a square", "--after", "2999-01-01")


def test_cutting(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_LIBRARY", str(world.library))
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    run("cut", 1, 2, "--to", tmp_path / "clips")
    assert len(list((tmp_path / "clips").iterdir())) == 2
    run("cut", 1, 2, "--to", tmp_path / "selection.m3u8", "--padding", 1)
    assert (tmp_path / "selection.m3u8").read_text(encoding="utf-8").count("start-time") == 2
    missing = CliRunner().invoke(app, ["cut", "999", "--to", str(tmp_path / "x")])
    assert missing.exit_code == 1
