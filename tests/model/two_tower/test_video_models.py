"""Models of videos as encoders: what they see of a clip, and the whole path from files to an explained answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional as fn

from model.language.spacy_parser import SpacyParser
from model.levels import LEVEL_NAMES
from model.two_tower.encoder import VIEWS, ClipEncoder
from model.two_tower.towers import TwoTower
from tests.every_two_tower import write_tiny

SEEN_AT_A_TIME = 4


@pytest.fixture(scope="module", params=["XCLIPModel", "VideoPrismClipModel"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(getattr(transformers, request.param), tmp_path_factory.mktemp("video") / request.param)


def test_a_clip_is_seen_whole_and_in_windows(folder: Path) -> None:
    tower = TwoTower(folder)
    assert tower.clip_frames == SEEN_AT_A_TIME  # as its configuration says
    frames = np.random.default_rng(0).integers(0, 256, (8, 40, 56, 3), dtype=np.uint8)
    whole, *windows = tower.features([frames])[0]
    assert len(windows) == 3
    for start, window in zip((0, 2, 4), windows, strict=True):
        np.testing.assert_allclose(window, tower.features([frames[start : start + 4]])[0][0], atol=1e-5)
    np.testing.assert_allclose(whole, tower.features([frames[[0, 2, 5, 7]]])[0][0], atol=1e-5)
    # A clip of fewer frames than the model sees at a time: each is shown for longer.
    short = tower.features([frames[:2]])[0]
    np.testing.assert_allclose(short, tower.features([frames[[0, 0, 1, 1]]])[0], atol=1e-5)


def test_it_sees_the_order_of_frames(folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 40, 56, 3), dtype=np.uint8)
    forward, backward = (clip[0] for clip in TwoTower(folder).features([frames, frames[::-1]]))
    assert (forward - backward).abs().max() > 1e-3


def test_the_levels_of_a_clip(folder: Path) -> None:
    encoder = ClipEncoder(folder, "tiny", parser=SpacyParser())
    assert encoder.spec.frames_per_clip == VIEWS * SEEN_AT_A_TIME and "cannot see motion" not in encoder.spec.note
    rng = np.random.default_rng(1)
    clips = [rng.integers(0, 256, (t, 40, 56, 3), dtype=np.uint8) for t in (8, 3, 1)]
    gallery = encoder.encode_clips(clips)
    for i, seen in enumerate(encoder.tower.features(clips)):
        whole = fn.normalize(seen[0], dim=-1)
        for level in ("global", "relation"):
            np.testing.assert_allclose(gallery[level][i], whole, atol=1e-5)
        assert all(np.isclose(np.linalg.norm(gallery[level][i]), 1, atol=1e-5) for level in LEVEL_NAMES)
    assert np.abs(gallery["action"][0] - gallery["global"][0]).max() > 1e-3
    apart = [encoder.encode_clips([clip]) for clip in clips]
    assert all(np.array_equal(rows, np.concatenate([one[name] for one in apart])) for name, rows in gallery.items())


def test_x_clip_with_the_processor_that_it_is_published_with(tmp_path: Path) -> None:
    folder = write_tiny(transformers.XCLIPModel, tmp_path / "x-clip")
    size = {"height": 32, "width": 32}
    transformers.VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    frames = np.random.default_rng(0).integers(0, 256, (4, 40, 56, 3), dtype=np.uint8)
    pixels = transformers.VideoMAEImageProcessor.from_pretrained(folder)(list(frames), return_tensors="pt")
    net = transformers.XCLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = fn.normalize(net.get_video_features(**pixels).pooler_output, dim=-1)
    torch.testing.assert_close(TwoTower(folder).features([frames])[0], expected, atol=1e-5, rtol=1e-5)


def test_frames_of_a_processor_count_where_the_model_says_none(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    folder = write_tiny(transformers.PeVideoModel, tmp_path / "pe")
    assert TwoTower(folder).clip_frames == 16
    (path,) = (path for path in folder.glob("*processor*.json") if "video_processor_type" in path.read_text())
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_frames": 6}))
    assert TwoTower(folder).clip_frames == 6
