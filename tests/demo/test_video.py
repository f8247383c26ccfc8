"""Rendered files: playable H.264, whole or absent, reused; training frames carry true labels."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from demo.frames import FrameStream, label_frame
from demo.pretrain import Phase, pretrain_backbone
from demo.video import CAPTIONS_FILE, FPS, write_videos
from demo.world import COLOURS, KINDS, Actor, ClipSpec, sample_split
from model.vision.backbones import Backbone, BackboneConfig


def test_clips_and_captions_on_disk(tmp_path: Path) -> None:
    steps = list(write_videos(tmp_path, "test", 3, seed=1, workers=1))
    assert steps[0] == (0, 3) and steps[-1] == (3, 3)
    lines = [json.loads(line) for line in (tmp_path / CAPTIONS_FILE).read_text().splitlines()]
    assert [line["video"] for line in lines] == ["test-0000.mp4", "test-0001.mp4", "test-0002.mp4"]
    assert all(len(line["captions"]) >= 5 and line["split"] == "test" for line in lines)
    spec = sample_split("test", 3, seed=1)[0]
    with av.open(str(tmp_path / "videos" / "test-0000.mp4")) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 320, 240)
    assert 3 <= frames / FPS <= 8 and abs(frames / FPS - spec.duration) < 1 / FPS
    assert not list(tmp_path.rglob("*.part*"))
    before = [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.mp4"))]
    assert list(write_videos(tmp_path, "test", 3, seed=1, workers=1)) == [(3, 3)]
    assert [p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*.mp4"))] == before


def test_labels_say_what_is_where() -> None:
    spec = ClipSpec(Actor("star", "green", "big"), "vanish", None, "night", 4.0, seed=2)
    visible, colour, pose, _ = label_frame(spec, 0.0)
    k = KINDS.index("star")
    assert visible[k] == 1 and visible.sum() == 1
    assert colour[k] == tuple(COLOURS).index("green")
    assert 0 < pose[k, 0] < 4 / 3
    assert label_frame(spec, 1.0)[0].sum() == 0


@pytest.mark.parametrize("closeups", [True, False])
def test_the_stream_repeats_itself(closeups: bool) -> None:
    backbone = Backbone(BackboneConfig("mobilenet_v3_small", (48, 64), "stretch"))
    batches = [next(iter(FrameStream(backbone, 8, seed=5, closeups=closeups))) for _ in range(2)]
    (images, labels), (again, _) = batches
    assert images.shape == ((8, 3, 48, 48) if closeups else (8, 3, 48, 64)) and images.dtype == torch.uint8
    torch.testing.assert_close(images, again)
    assert labels.visible.shape == (8, len(KINDS))
    assert np.isfinite(labels.pose.numpy()).all()


def test_pretraining_learns_and_repeats_itself() -> None:
    seen: list[dict[str, float]] = []
    phases = (Phase("a", True, 12, 16, 2e-3), Phase("b", False, 2, 8, 1e-3))
    first = pretrain_backbone(0, phases, on_step=lambda *step: seen.append(step[3]))
    assert len(seen) == 14
    assert np.mean([s["scene"] for s in seen[8:12]]) < np.mean([s["scene"] for s in seen[:4]])
    second = pretrain_backbone(0, phases)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
