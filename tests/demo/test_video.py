"""Rendered files: playable H.264, whole or absent, reused; training frames carry true labels."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from demo.frames import FrameStream, label_frame
from demo.video import CAPTIONS_FILE, FPS, write_videos
from demo.world import COLOURS, KINDS, Actor, ClipSpec, sample_split
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone


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


ROOT = Path(__file__).parents[2]
PRETRAINED_TWICE = """
import json
from demo.pretrain import Phase, pretrain_backbone
seen = []
phases = (Phase("a", True, 12, 16, 2e-3), Phase("b", False, 2, 8, 1e-3))
first = pretrain_backbone(0, phases, on_step=lambda *step: seen.append(step[3]["scene"])).state_dict()
second = pretrain_backbone(0, phases).state_dict()
off = max(float((first[name] - second[name]).abs().max()) for name in first)
print(json.dumps({"scene": seen, "off": off}))
"""


def test_pretraining_learns_and_repeats_itself() -> None:
    # In a process of its own, as it always runs: it starts others, and this one has the threads of other tests.
    command = [sys.executable, "-c", PRETRAINED_TWICE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["scene"]) == 14
    assert np.mean(found["scene"][8:12]) < np.mean(found["scene"][:4])
    assert found["off"] < 1e-5
