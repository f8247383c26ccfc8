"""The whole path with a two-tower model: prepared, index, search, describe, page, and the choice of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from model.prepared import Record, hash_files, prepared_folder, write_record
from service.app import create_app
from service.cli import app
from service.settings import Settings
from tests.two_towers import write_clip, write_sentence_transformer, write_siglip

if TYPE_CHECKING:
    from tests.service.conftest import World

NAME = "clip-ViT-B-32"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model named anywhere, none prepared."""
    for name in ("QUARTET_MODEL", "QUARTET_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUARTET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "models"


def put(models: Path, write: Callable[[Path], Path], name: str) -> Path:
    """A tiny model where `quartet prepare` would have put it."""
    folder = write(prepared_folder(models, name))
    write_record(folder, Record(name, f"some/{name}", "a" * 40, hash_files(folder)))
    return folder


@pytest.mark.parametrize(("write", "name"), [(write_sentence_transformer, NAME), (write_siglip, "google/siglip")])
def test_index_search_describe_and_page(
    built_world: World, tmp_path: Path, models: Path, write: Callable[[Path], Path], name: str
) -> None:
    put(models, write, name)
    library = tmp_path / "library"
    indexed = run("index", built_world.videos, "--library", library, "--model", name)
    assert indexed.exit_code == 0, indexed.output
    assert "5 indexed" in words(indexed.stdout)
    assert run("captions", "add", built_world.captions, "--library", library).exit_code == 0  # the library's own model
    found = run("search", "a red square slides past a wall", "--library", library, "--json")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert len(answer["hits"]) == 5 and answer["exact"]
    assert answer["weights"] == {"global": 2.0, "entity": 0.5, "action": 0.5, "relation": 1.0}
    for hit in answer["hits"]:
        total = sum(level["contribution"] for level in hit["levels"].values())
        assert hit["score"] == pytest.approx(total)
    described = run("describe", built_world.videos / "red.mp4", "--library", library, "--json")
    assert described.exit_code == 0, described.output
    assert len(json.loads(described.stdout)["hits"]) == 5
    with TestClient(create_app(Settings(library=library, models=models))) as client:
        assert client.get("/").status_code == 200
        served = client.post("/v1/search/clips", json={"query": "a red square slides past a wall", "k": 5})
        assert served.status_code == 200, served.text
        assert [hit["clip_id"] for hit in served.json()["hits"]] == [hit["clip_id"] for hit in answer["hits"]]
        assert name in client.get("/readyz").text


def test_a_folder_can_be_named(built_world: World, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "mine")
    library = tmp_path / "library"
    assert run("index", built_world.videos / "red.mp4", "--library", library, "--model", folder).exit_code == 0
    assert run("search", "red", "--library", library, "--model", folder).exit_code == 0
    refused = run("search", "red", "--library", library)
    assert refused.exit_code == 1
    assert "The model 'mine'" in refused.stderr and "--model" in refused.stderr


def test_a_new_library_asks_which_model(built_world: World, tmp_path: Path, models: Path) -> None:
    for command in ("index", "watch"):
        refused = run(command, built_world.videos, "--library", tmp_path / "library")
        assert refused.exit_code == 1
        assert f"quartet prepare {NAME}" in refused.stderr
        assert "has only seen the generated cartoon world" in refused.stderr
        assert not (tmp_path / "library").exists()
    put(models, write_clip, NAME)
    put(models, write_clip, "some/other")
    refused = run("index", built_world.videos, "--library", tmp_path / "library")
    assert "quartet prepare" not in refused.stderr and "some/other" in refused.stderr


def test_without_its_weights_nothing_starts(built_world: World, tmp_path: Path, models: Path) -> None:
    library = tmp_path / "library"
    refused = run("index", built_world.videos, "--library", library, "--model", NAME)
    assert refused.exit_code == 1 and refused.stderr.strip().endswith(f"Run: quartet prepare {NAME}")
    assert not library.exists()
    folder = put(models, write_clip, NAME)
    assert run("index", built_world.videos / "red.mp4", "--library", library, "--model", NAME).exit_code == 0
    folder.rename(tmp_path / "gone")
    for command in (("serve",), ("search", "red"), ("describe", built_world.videos / "red.mp4")):
        refused = run(*command, "--library", library)
        assert refused.exit_code == 1 and refused.stderr.strip().endswith(f"Run: quartet prepare {NAME}")
