"""`quartet demo`, `features` and `train`: the parts that need no trained model, and their refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import pytest
import torchvision
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from service.cli import app

if TYPE_CHECKING:
    from tests.service.conftest import World


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_demo_renders_and_reuses_its_videos(tmp_path: Path) -> None:
    first = run("demo", "--folder", tmp_path, "--clips", 2, "--render-only")
    assert first.exit_code == 0, first.output
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "videos").iterdir()}
    assert set(made) == {"test-0000.mp4", "test-0001.mp4"}
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == 2
    assert run("demo", "--folder", tmp_path, "--clips", 2, "--render-only").exit_code == 0
    assert all((tmp_path / "videos" / name).stat().st_mtime_ns == at for name, at in made.items())


def test_features_are_made_once_and_can_be_trained_on(world: World, tmp_path: Path) -> None:
    weights = torchvision.models.get_model("mobilenet_v3_small", weights=None).state_dict()
    save_file(weights, tmp_path / "w.safetensors")
    out = tmp_path / "f.h5"
    given = ("features", world.videos, "--out", out, "--weights", tmp_path / "w.safetensors")
    result = run(*given, "--backbone", "mobilenet_v3_small", "--frames", 3)
    assert result.exit_code == 0, result.output
    assert "features of 5 videos, 2 refused" in result.stdout and "empty-file" in result.stdout
    with h5py.File(out) as file:
        assert {name: file[name].shape for name in file} == dict.fromkeys(world.texts, (3, 576))
    again = run(*given, "--backbone", "mobilenet_v3_small")
    assert again.exit_code == 0
    with h5py.File(out) as file:
        assert file["red"].shape == (3, 576)
    other = run(*given, "--backbone", "resnet18")
    assert other.exit_code == 1 and "does not contain weights of resnet18" in other.stderr


def test_train_refuses_what_it_cannot_train(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("train", "--preset", "paper")
    assert result.exit_code == 1
    assert "Name caption files and either --features" in result.stderr
    result = run("train", "--preset", "papers")
    assert result.exit_code == 1
    assert "Unknown preset 'papers'" in result.stderr
    result = run("train", "--preset", "demo", "--parser", "en_core_web_sm")
    assert result.exit_code == 1
    assert "Leave out --parser" in result.stderr
    monkeypatch.setitem(sys.modules, "lightning", None)
    result = run("train", "--preset", "demo")
    assert result.exit_code == 1
    assert "[train]" in result.stderr


def test_compare_names_an_unknown_model_before_it_reads_anything(tmp_path: Path) -> None:
    result = run("compare", tmp_path / "gone.jsonl", "--features", tmp_path / "gone.h5", "--models", "mcsan,vsse")
    assert result.exit_code == 1
    assert "Unknown model 'vsse'. Models: mcsan, mcsan-no-relation" in result.stderr


def test_a_small_world_can_be_written_and_compared_on(tmp_path: Path) -> None:
    world = tmp_path / "world"
    made = run("demo-dataset", world, "--train", 4, "--val", 2, "--test", 3, "--captions", 2, "--max-frames", 3)
    assert made.exit_code == 0, made.output
    assert "features of 9 clips" in made.stdout
    given = ("compare", world / "captions.jsonl", "--features", world / "features.h5", "--models", "vse++")
    result = run(*given, "--seeds", 1, "--epochs", 1, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "[1/1] vse++, seed 0: test SumR" in result.stderr
    assert "| vse++ |" in result.stdout and "3 test videos, 6 captions" in result.stdout


def test_train_refuses_a_parser_that_is_not_installed(tmp_path: Path) -> None:
    rows = [json.dumps({"video": f"v{i}", "captions": ["a dog"], "split": "train"}) for i in range(4)]
    (tmp_path / "c.jsonl").write_text("\n".join(rows))
    result = run("train", tmp_path / "c.jsonl", "--features", tmp_path / "f.h5", "--parser", "en_none")
    assert result.exit_code == 1
    assert "The spaCy pipeline 'en_none' is not installed" in " ".join(result.stderr.split())
