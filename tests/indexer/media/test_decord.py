"""Another decoder's opinion: decord, which builds its own FFmpeg and finds frames in its own way."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.media.clip_reader import sample_frames
from quartet.errors import VideoError
from tests.indexer.media.test_decode import MIRRORED, SHARED, TONE_MAPPED, needs_shared, ssim

pytestmark = pytest.mark.skipif(find_spec("decord") is None, reason="decord is an extra of development")

ELSEWHERE = {
    "decord__corrupted.mp4": "stops at the first damaged frame",
    "media__bbb_2500ms.ts": "leaves out the first six frames",
    "media__sample_h262_mpeg_audio.ps": "does not decode it",
    "media__sample_h263.ts": "does not open it",
    "media__sample_h265.ts": "does not decode it",
    "mmaction2__S001C001P001R001A001_rgb.avi": "gives every frame the same time",
    "moviepy__-video-with-dash-.mp4": "gives one pixel",
    "streamio-ffmpeg__weird_aspect.small.mpg": "leaves out the first six frames",
    "torchcodec__sine_stereo_mp2.mpg": "gives most frames the same time",
    **dict.fromkeys(MIRRORED, "turns it and does not mirror it"),
}
"""What decord does with the files that it reads otherwise (docs/decoding.md)."""


@needs_shared
def test_decord_sees_the_same_frames_at_the_sampled_times(tmp_path: Path) -> None:
    clips, refused = {}, []
    for path in sorted(SHARED.iterdir()):
        try:
            clips[path.name] = sample_frames(path, 4)
        except VideoError:
            refused.append(path.name)
    compared = [name for name in clips if name not in ELSEWHERE]
    # decord counts from the first frame.
    times = {name: clips[name].times - clips[name].span.start for name in compared}
    wanted = {name: times[name].tolist() for name in compared} | {name: [] for name in refused}
    script = Path(__file__).with_name("decord_frames.py")
    subprocess.run([sys.executable, script, SHARED, tmp_path], input=json.dumps(wanted), text=True, check=True)
    assert not any((tmp_path / f"{name}.npz").exists() for name in refused)
    for name in compared:
        clip, theirs = clips[name], np.load(tmp_path / f"{name}.npz")
        assert theirs["count"] == clip.info.frames, name
        assert theirs["times"] == pytest.approx(times[name], abs=1e-3), name
        for picture, other in zip(clip.frames, theirs["frames"], strict=True):
            size = picture.shape[1], picture.shape[0]
            reference = Image.fromarray(other).resize(size, Image.Resampling.BILINEAR)
            assert name in TONE_MAPPED or ssim(picture, np.asarray(reference)) >= 0.99, name
    assert len(compared) == 38
