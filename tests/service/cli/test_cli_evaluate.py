"""`quartet evaluate`: on a library, on features, its report and its refusals."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from model.registry import MODELS
from service.cli import app

if TYPE_CHECKING:
    from tests.service.conftest import World


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTET_MODEL", "fake")
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def captioned(world: World, tmp_path: Path) -> Path:
    """A caption file of every video of the library; the last is called by its name without the suffix."""
    *titles, last = world.texts
    names = [*(f"{title}.mp4" for title in titles), last]
    lines = [json.dumps({"video": n, "captions": [t]}) for n, t in zip(names, world.texts.values(), strict=True)]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_evaluate_prints_every_row_and_writes_a_report(world: World, captioned: Path, tmp_path: Path) -> None:
    result = run(
        "evaluate",
        captioned,
        "--library",
        world.library,
        "--report",
        tmp_path / "new" / "report",
        "--mteb",
        tmp_path / "mteb.json",
        "--contrast",
    )
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "mteb.json").read_text())["task_name"] == "captions"
    rows = [*("fused", "global", "entity", "action", "relation"), "without relation", "chance | 20.0 | 100.0"]
    assert [row for row in rows if f"| {row} |" not in result.stdout] == []
    assert "No caption repeats" in result.stdout
    figures = json.loads((tmp_path / "new" / "report" / "results.json").read_text())
    assert figures["about"] == {
        "model": "fake-0",
        "fingerprint": figures["about"]["fingerprint"],
        "library": "library",
        "captions": "captions.jsonl",
        "split": "all",
    }
    assert figures["protocols"]["per_caption"]["results"]["fused"]["text_to_video"]["queries"] == 5
    assert figures["labels"]["entity"]["square"] == figures["labels"]["entity"]["wall"] == 5
    assert figures["contrast"]["attribute"]["fused"]["of"] == 5
    html = (tmp_path / "new" / "report" / "report.html").read_text()
    assert "Captions with exactly one thing changed" in html
    assert html.count("data:image/webp;base64,") >= 3 * 5  # the library's thumbnails, three a query
    assert "| fused |" in (tmp_path / "new" / "report" / "results.md").read_text()


def test_weights_are_fitted_and_measured(world: World, captioned: Path, tmp_path: Path) -> None:
    given = ("evaluate", captioned, "--library", world.library)
    fitted = run(*given, "--fit-weights")
    assert fitted.exit_code == 0, fitted.output
    weights = fitted.stdout.rsplit("--weights ", 1)[1].strip()
    assert re.fullmatch(r"global=[\d.]+,entity=[\d.]+,action=[\d.]+,relation=[\d.]+", weights)
    measured = run(*given, "--weights", weights, "--report", tmp_path / "fitted")
    assert measured.exit_code == 0, measured.output
    assert "--weights" not in measured.stdout
    assert json.loads((tmp_path / "fitted" / "results.json").read_text())["about"]["weights"].startswith("global ")
    # With one level alone, the fused score is that level's.
    run(*given, "--weights", "global=1,entity=0,action=0,relation=0", "--report", tmp_path / "alone")
    results = json.loads((tmp_path / "alone" / "results.json").read_text())["protocols"]["per_caption"]["results"]
    assert results["fused"] == results["global"] != results["relation"]


def test_evaluate_names_a_video_that_is_not_there(world: World, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"video": "gone.mp4", "captions": ["x"]}')
    result = run("evaluate", captions, "--library", world.library)
    assert result.exit_code == 1
    assert "gone.mp4" in result.stderr


def test_evaluate_refuses_one_video_under_two_names(world: World, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"video": "red.mp4", "captions": ["x"]}\n{"video": "red", "captions": ["y"]}')
    result = run("evaluate", captions, "--library", world.library)
    assert result.exit_code == 1
    assert "are duplicates of earlier videos: red" in result.stderr


def test_evaluate_on_features_takes_pictures_from_the_videos(world: World, captioned: Path, tmp_path: Path) -> None:
    width = json.loads((MODELS["demo"] / "config.json").read_text())["model"]["feature_dim"]
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for line in captioned.read_text().splitlines():
            file[json.loads(line)["video"]] = np.random.default_rng(len(file)).random((2, width), np.float32)
    given = ("evaluate", captioned, "--features", tmp_path / "f.h5", "--model", "demo", "--device", "cpu")
    (tmp_path / "some").mkdir()
    shutil.copy(world.videos / "red.mp4", tmp_path / "some")
    (tmp_path / "some" / "green.mp4").write_text("no video")
    result = run(*given, "--videos", tmp_path / "some", "--report", tmp_path / "report", "--contrast")
    assert result.exit_code == 0, result.output
    assert "attribute (5) |" in result.stdout
    assert "| without relation |" in result.stdout
    assert "No picture of green.mp4" in result.stderr
    assert "No picture of blue.mp4: " in result.stderr
    assert (tmp_path / "report" / "report.html").read_text().count("data:image/webp;base64,") >= 1
    missing = run(*given, "--videos", tmp_path / "nowhere")
    assert missing.exit_code == 1 and "nowhere is not a folder" in missing.stderr
    wrong = run("evaluate", captioned, "--library", world.library, "--videos", world.videos)
    assert wrong.exit_code == 2 and "This option needs --features" in wrong.stderr
