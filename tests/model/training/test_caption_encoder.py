"""Models on a frozen two-tower model read captions by its text tower, are kept with it and see videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.registry import load_encoder
from model.training.compare.caption_encoder import caption_encoder
from model.training.compare.comparison import Plan, compare
from model.training.compare.kept_models import Keeping
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_file import FeatureFile
from model.training.loop.feature_scores import scores_on_features
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import InputError
from tests.two_towers import write_clip

TEXTS = ("a dog runs", "two cats sleep", "a man rides a horse", "sunset", "a red bird flies", "somebody sings")


def test_a_compared_model_on_two_towers(tmp_path: Path) -> None:
    tower = TwoTower(write_clip(tmp_path / "tower"))
    torch.manual_seed(0)
    rows = [torch.randn(1 + n % 3, tower.feature_dim) for n in range(len(TEXTS))]
    features = tmp_path / "f.h5"
    with FeatureFile(features, writable=True, backbone=tower.config) as file:
        for number, row in enumerate(rows):
            file.add(str(number), row)
    splits = ("train", "train", "train", "val", "test", "test")
    videos = tuple(CaptionedVideo(str(n), (text,), splits[n]) for n, text in enumerate(TEXTS))
    reader = caption_encoder(("vse", "teachclip"), [features], None, tmp_path)
    assert isinstance(reader, TwoTowerSentences)
    plan = Plan(("clip4clip-mean", "teachclip", "vse"), seeds=1, epochs=1, frames=3, width=1 / 64)
    keeping = Keeping(tmp_path / "kept")
    list(compare(plan, CaptionSet(videos), [features], tmp_path, print, keeping=keeping, sentences=reader))
    # Nothing but a scale was to be learned: it is zero-shot search.
    scores, _, _ = scores_on_features(tmp_path / "kept" / "clip4clip-mean-seed0", videos, [features])
    frames = np.stack([torch.nn.functional.normalize(row, dim=1).mean(0).numpy() for row in rows])
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    np.testing.assert_allclose(scores.clips["global"], frames, atol=1e-5)
    np.testing.assert_allclose(scores.text_queries["global"], tower.texts(TEXTS), atol=1e-4)
    encoder = load_encoder(tmp_path / "kept" / "teachclip-seed0")
    clip = np.zeros((3, 40, 40, 3), np.uint8)
    assert encoder.encode_clips([clip])["global"].shape == (1, tower.feature_dim)


def test_who_cannot_read_them_is_told(tmp_path: Path) -> None:
    with FeatureFile(tmp_path / "f.h5", writable=True) as file:
        file.add("a", torch.randn(2, 16))
    assert caption_encoder(("vse",), [tmp_path / "f.h5"], None, tmp_path) is None
    with pytest.raises(InputError, match=r"There is no sentence model 'nowhere'"):
        caption_encoder(("vse",), [tmp_path / "f.h5"], "nowhere", tmp_path)
    with pytest.raises(InputError, match=r"clip4clip-mean needs features of a two-tower model"):
        caption_encoder(("vse", "clip4clip-mean"), [tmp_path / "f.h5"], None, tmp_path)
    with pytest.raises(InputError, match=r"teachclip reads captions by the two-tower model .* --sentence-model"):
        caption_encoder(("teachclip:training.epochs=1",), [tmp_path / "f.h5"], "nowhere", tmp_path)
