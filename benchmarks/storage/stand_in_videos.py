"""Stand-ins for videos, where what happens to a library is tried out and not decoding: a file of a few digits.

The number in a file is its colour, and every third file has seven clips. `decode_stand_ins` makes the indexer read
them.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_pool import DecodedClip, DecodePool
from indexer.media.header import VideoInfo
from indexer.media.segmentation import WHOLE, Segmentation, Span
from indexer.pipeline import local_pipeline


class StandInPool(DecodePool):
    """Decodes in its threads."""

    def clips(
        self, path: Path, count: int, segmentation: Segmentation = WHOLE, skip: int = 0
    ) -> Generator[DecodedClip, None, None]:
        number = int(path.read_text())
        length = clips_in(path)
        info = VideoInfo(float(length), 4.0, 8, 8, count * length)
        for i in range(skip, length):
            colour = number * 40 % 256, number * 24 % 256, i * 20 % 256
            frames = np.full((count, 8, 8, 3), colour, dtype=np.uint8)
            times = i + np.arange(count) / 4.0
            picture = f"picture of {number} at {i}".encode()
            yield DecodedClip(SampledClip(frames, times, Span(i, i + 1.0), info), picture, b"strip" + picture)


def clips_in(path: Path) -> int:
    return 7 if int(path.read_text()) % 3 == 0 else 1


def write_stand_in(path: Path, number: int) -> Path:
    """Sizes differ from number to number, so that a changed file is known by it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(number).zfill(1 + number % 7))
    return path


def decode_stand_ins() -> None:
    """Have every run of this process read stand-ins, and keep the clips of long files two at a time."""
    local_pipeline.DecodePool = StandInPool  # type: ignore[misc]
    local_pipeline.PART = 2
