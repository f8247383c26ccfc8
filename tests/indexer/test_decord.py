"""Another decoder's opinion: decord, which builds its own FFmpeg and finds frames in its own way."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from indexer.decode import sample_frames
from model.errors import VideoError
from tests.indexer.test_decode import MIRRORED, SHARED, needs_shared, ssim

decord = pytest.importorskip("decord", reason="decord is an extra of development")

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
def test_decord_sees_the_same_frames_at_the_sampled_times() -> None:
    decord.logging.set_level(decord.logging.FATAL)
    compared = 0
    for path in sorted(SHARED.iterdir()):
        try:
            clip = sample_frames(path, 4)
        except VideoError:
            with pytest.raises(Exception, match=r"(?i)error"):
                decord.VideoReader(str(path), num_threads=1)
            continue
        if path.name in ELSEWHERE:
            continue
        reader = decord.VideoReader(str(path), num_threads=1)
        assert len(reader) == clip.info.frames, path.name
        times = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
        numbers = np.abs((times - times[0])[None] - clip.times[:, None]).argmin(axis=1)
        assert times[numbers] - times[0] == pytest.approx(clip.times, abs=1e-3), path.name
        for picture, theirs in zip(clip.frames, reader.get_batch(numbers.tolist()).asnumpy(), strict=True):
            size = picture.shape[1], picture.shape[0]
            reference = Image.fromarray(theirs).resize(size, Image.Resampling.BILINEAR)
            assert ssim(picture, np.asarray(reference)) >= 0.99, path.name
        compared += 1
    assert compared == 38
