"""Features in HDF5, and a whole training on them."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

import model.mcsan.presets
from model.evaluation.metrics import evaluate_scores
from model.mcsan.config import TrainConfig
from model.mcsan.encoder import McsanEncoder
from model.training.data.caption_readers import read_captions
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.training.loop.feature_training import train_on_features
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError

SMALL = BackboneConfig("mobilenet_v3_small", (64, 64))


def test_features_come_back_sampled_at_the_middles(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        file.add("a/b", torch.arange(12.0).view(6, 2))
        file.add("short", torch.ones(1, 2))
    with h5py.File(tmp_path / "f.h5") as raw:
        assert set(raw) == {"a_b", "short"}
    with FeatureFile(tmp_path / "f.h5") as file:
        assert "a/b" in file and "c" not in file and file.dim == 2 and file.backbone is None
        rows = file.read(["a/b", "short"], frames=3)
        assert rows[0][:, 0].tolist() == [2.0, 6.0, 10.0] and rows[1].shape == (1, 2)
        with pytest.raises(InputError, match=r"no features for 2 of 3 videos: x, y\."):
            file.read(["x", "short", "y"], 3)


def test_the_file_remembers_its_backbone(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with FeatureFile(path, writable=True, backbone=SMALL) as file:
        file.add("a", torch.ones(1, 576))
    with FeatureFile(path) as file:
        assert file.backbone == SMALL
    with pytest.raises(InputError, match="features of another backbone"):
        FeatureFile(path, writable=True, backbone=replace(SMALL, arch="resnet18"))


def test_what_is_no_features_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.h5").write_text("words")
    with pytest.raises(InputError, match="cannot be opened as an HDF5 file"):
        FeatureFile(tmp_path / "f.h5")
    with h5py.File(tmp_path / "g.h5", "w") as raw:
        raw["a"], raw["b"] = np.ones((2, 3)), np.ones((2, 4))
        raw["wild"], raw["flat"], raw["c/d"] = np.array([[1, 2, np.nan]]), np.ones(3), np.ones((2, 3))
    with FeatureFile(tmp_path / "g.h5") as file:
        for name, message in (
            ("b", r"'b' has the shape \(2, 4\), others have the width 3"),
            ("wild", "1 videos have NaN or infinity among their values: wild"),
            ("flat", r"'flat' must be one dataset of the shape \(T, D\)"),
            ("c", r"'c' must be one dataset of the shape \(T, D\)"),
        ):
            with pytest.raises(InputError, match=message):
                file.read(["a", name], 2)


def test_captions_may_name_the_file_with_its_suffix_but_not_two_videos_by_one_dataset(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        file.add("trip/a", torch.ones(1, 2))
        assert file.read(["trip/a.mp4"], 3)[0].shape == (1, 2)
        assert file.missing(["trip/a.mp4", "b.mp4", ""]) == ["b.mp4", ""]
        with pytest.raises(InputError, match="2 videos share a dataset with another video: trip/a, trip_a"):
            file.read(["trip/a", "trip_a"], 3)


def test_training_on_features_makes_a_checkpoint_that_sees_videos(tmp_path: Path) -> None:
    torch.manual_seed(0)
    things, captions = ("red dog", "blue car", "green cup", "white cat"), tmp_path / "c.jsonl"
    means = torch.randn(4, 576)
    with FeatureFile(tmp_path / "f.h5", writable=True, backbone=SMALL) as file:
        lines = []
        for i in range(24):
            split = "train" if i < 16 else "test"
            said = [f"a {things[i % 4]} is moving", f"the {things[i % 4]}"]
            lines.append(json.dumps({"video": f"v{i}", "captions": said, "split": split}))
            file.add(f"v{i}", means[i % 4] + 0.1 * torch.randn(5, 576))
    captions.write_text("\n".join(lines))
    weights = torchvision.models.get_model("mobilenet_v3_small", weights=None).state_dict()
    save_file(weights, tmp_path / "w.safetensors")
    small = replace(
        model.mcsan.presets.DEMO,
        model=replace(model.mcsan.presets.DEMO.model, embed_dim=32, bottleneck=32, frames=4),
        train=TrainConfig(16, 4, "adamw", 3e-3, schedule="cosine"),
    )
    said: list[str] = []
    read = read_captions([captions])
    arguments = (small, read, [tmp_path / "f.h5"], tmp_path / "mine", 0, said.append, tmp_path / "w.safetensors")
    assert len(train_on_features(*arguments, progress=False)) == 4
    assert any("2 random training videos are used for validation" in sentence for sentence in said)
    scores, checkpoint, _ = scores_on_features(tmp_path / "mine", read.split("test"), [tmp_path / "f.h5"])
    assert checkpoint.model.config.feature_dim == 576
    # Eight test videos show four things: chance finds one of eight first, the right thing leaves one of two.
    assert evaluate_scores(scores, np.repeat(np.arange(8), 2))["fused"].text_to_video.r1 > 30
    encoder = McsanEncoder(tmp_path / "mine")
    assert encoder.encode_clips([np.zeros((3, 40, 60, 3), np.uint8)])["entity"].shape == (1, 32)
    reference = Backbone(SMALL)
    reference.load_weights(tmp_path / "w.safetensors")
    torch.testing.assert_close(encoder.backbone.state_dict(), reference.eval().state_dict(), atol=1e-3, rtol=1e-3)
    with FeatureFile(tmp_path / "narrow.h5", writable=True) as file:
        file.add("v16", torch.ones(2, 7))
    with pytest.raises(InputError, match="features of width 7, the checkpoint needs 576"):
        scores_on_features(tmp_path / "mine", read.split("test"), [tmp_path / "narrow.h5"])
