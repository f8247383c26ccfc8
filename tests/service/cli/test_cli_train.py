"""`quartet train` from raw videos to a checkpoint, and one clear sentence for each thing that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

import model.mcsan.presets
from indexer.ingest.frame_features import by_name, encode_videos, files_below
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.config import ModelConfig, Preset, TrainConfig
from model.training.data.feature_file import FeatureFile
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError
from service.cli import app

if TYPE_CHECKING:
    from tests.service.conftest import World

TINY = Preset(
    ModelConfig(576, 3, embed_dim=16, heads=2, attention_dim=8, bottleneck=16, standardise=True),
    train=TrainConfig(8, 2, learning_rate=1e-3),
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("QUARTET_TEXT_CACHE", str(tmp_path / "texts"))
    monkeypatch.setitem(model.mcsan.presets.PRESETS, "tiny", TINY)
    yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(torchvision.models.get_model("mobilenet_v3_small", weights=None).state_dict(), path)
    return path


@pytest.fixture
def videos(built_world: World, tmp_path: Path) -> Path:
    """A folder of videos of its own."""
    return Path(shutil.copytree(built_world.videos, tmp_path / "videos"))


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_captions(path: Path, videos: dict[str, list[str]], split: str = "train") -> Path:
    path.write_text("\n".join(json.dumps({"video": v, "captions": c, "split": split}) for v, c in videos.items()))
    return path


def test_from_raw_videos_to_a_checkpoint_in_one_step(
    built_world: World, videos: Path, weights: Path, tmp_path: Path
) -> None:
    said = {
        f"{name}.mp4" if name == "red" else name: [text, f"the {name} one"] for name, text in built_world.texts.items()
    }
    del said["grey"]
    captions = write_captions(tmp_path / "c.jsonl", {**said, "gone": ["a lost clip"], "broken": ["x"]})
    (videos / "broken.mp4").write_bytes(b"no video at all")
    (videos / "red.avi").write_bytes(b"of the same name as one with captions, but without any")
    out = tmp_path / "mine"
    given = ("train", captions, "--videos", videos, "--backbone", "mobilenet_v3_small", "--frames", 3)
    given = (*given, "--backbone-weights", weights, "--preset", "tiny", "--out", out)
    result = run(*given)
    assert result.exit_code == 0, result.output
    for sentence in (
        f"1 captioned videos are not in {videos}: gone",
        "have no captions: ",
        "1 videos cannot be read and are left out:",
        f"{videos / 'broken.mp4'}: not-a-video.",
    ):
        assert sentence in result.stderr
    bare = next(line for line in result.stderr.splitlines() if "have no captions" in line)
    assert "grey.mp4" in bare and "red.avi" in bare
    for sentence in (
        "features of 4 videos, 4 of them new",
        "features.h5: 2 videos left out, without features: broken, gone",
        "1 random training videos are used for validation",
        "Training on 3 videos, validating on 1.",
        "epoch 2/2",
        "validation SumR ",
    ):
        assert sentence in result.stdout
    checkpoint = load_checkpoint(out)
    assert checkpoint.backbone is not None and checkpoint.model.config.feature_dim == 576
    assert not (out / "features.h5.parts").exists() and not list((out / "log").glob("*.ckpt"))
    made = (out / "model.safetensors").stat().st_mtime_ns

    again = run(*given)
    assert again.exit_code == 0, again.output
    assert "4 videos, 0 of them new" in again.stdout and "is already finished" in again.stdout
    assert (out / "model.safetensors").stat().st_mtime_ns == made
    other = run(*given, "--seed", 1, "--frames", 4)
    assert other.exit_code == 1
    assert "was started with other arguments: model.frames was 3, not 4; seed was 0, not 1." in other.stderr


def test_each_bad_input_is_one_sentence(weights: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = BackboneConfig("mobilenet_v3_small")
    with FeatureFile(tmp_path / "f.h5", writable=True, backbone=backbone) as file:
        for name in "abcd":
            file.add(name, torch.randn(3, 12))
        file.add("e", file.read(["a"], 3)[0])
    captions = write_captions(tmp_path / "c.jsonl", {name: [f"a {name}"] for name in "abcdef"})
    given = ("train", captions, "--features", tmp_path / "f.h5", "--preset", "tiny", "--out", tmp_path / "mine")

    def refused(message: str, *arguments: str | Path) -> None:
        result = run(*(arguments or given))
        assert result.exit_code == 1, result.output
        assert message in result.stderr and result.stderr.strip().splitlines()[-1].startswith("Error: ")

    refused("Unknown preset 'papers'. Presets: paper, demo", *given, "--preset", "papers")
    refused("has no features of 1 videos: f. Make them, or leave these videos out with --skip-missing.")
    given = (*given, "--skip-missing")
    refused(
        "holds features of width 12, but its backbone mobilenet_v3_small makes 576",
        *given,
        "--backbone-weights",
        weights,
    )
    refused("Training from --videos needs --backbone-weights", "train", captions, "--videos", tmp_path)
    refused("--unfreeze-text needs captions", "train", captions, "--videos", tmp_path, "--unfreeze-text")
    captions.write_text(captions.read_text() + '\n{"video": "g"')
    refused("c.jsonl, line 7: not valid JSON")
    write_captions(captions, {name: [f"a {name}"] for name in "abcde"})
    made = run(*given, "--fresh")
    assert made.exit_code == 0, made.output
    assert "1 groups of videos have the same frame features" in made.stdout
    assert load_checkpoint(tmp_path / "mine").backbone is None

    with FeatureFile(tmp_path / "narrow.h5", writable=True) as file:
        file.add("a", torch.ones(2, 7))
    write_captions(captions, {"a": ["a dog"]}, "test")
    evaluate = ("evaluate", captions, "--model", tmp_path / "mine", "--features", tmp_path / "narrow.h5")
    refused("features of width 7, the checkpoint needs 12", *evaluate)
    stored = tmp_path / "mine" / "model.safetensors"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x01")
    refused("is damaged or does not belong to its config.json", *evaluate)


def test_a_stopped_features_run_goes_on(built_world: World, videos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Backbone(BackboneConfig("mobilenet_v3_small", (32, 32))).eval()
    files = {name: path for name, path in by_name(files_below(videos)).items() if name in built_world.texts}
    assert set(files) == set(built_world.texts)
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_videos(files, network, tmp_path / "f.h5", 2, stop)
    assert seen == [1, 2, 3] and not (tmp_path / "f.h5").exists()
    with pytest.raises(InputError, match="features of another backbone"):
        other = Backbone(replace(network.config, image_size=(64, 64))).eval()
        encode_videos(files, other, tmp_path / "f.h5", 2)
    report = encode_videos(files, network, tmp_path / "f.h5", 2)
    assert (report.encoded, report.known, report.refused) == (2, 3, [])
    with FeatureFile(tmp_path / "f.h5") as file:
        assert file.missing(list(files)) == [] and file.backbone == network.config
    with pytest.raises(InputError, match="features of another backbone"):
        encode_videos(files, other, tmp_path / "f.h5", 2)
    (videos / "red.avi").touch()
    with pytest.raises(InputError, match=r"Rename one of each pair: red\.avi, red\.mp4\."):
        by_name(files_below(videos))
