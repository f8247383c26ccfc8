"""Two small WebP pictures per clip: one to stand for it, and a strip of eight to leaf through."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from model.encoder import Frames

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 320
"""Pixels: no thumbnail is wider or higher."""

MAX_BYTES = 20_000

STRIP_FRAMES = 8
"""Frames side by side in a strip, whatever the clip has: few frames are repeated."""

STRIP_SIDE = 160
"""Pixels: no frame of a strip is wider or higher."""

MAX_STRIP_BYTES = 40_000


def thumbnail(frames: Frames) -> bytes:
    """The best one of (T, H, W, 3) uint8 frames as a WebP within MAX_SIDE pixels a side and MAX_BYTES.

    It is the middle one of the sharpest part: of the third of the clip whose frames have most detail.
    """
    from PIL import Image

    image = Image.fromarray(frames[sharpest(frames)])
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return _webp(image, MAX_BYTES)


def strip(frames: Frames) -> bytes:
    """STRIP_FRAMES frames at equal distances, side by side, as a WebP within MAX_STRIP_BYTES."""
    from PIL import Image

    chosen = ((np.arange(STRIP_FRAMES) + 0.5) * len(frames) / STRIP_FRAMES).astype(int)
    first = Image.fromarray(frames[0])
    first.thumbnail((STRIP_SIDE, STRIP_SIDE))
    width, height = first.size
    image = Image.new("RGB", (STRIP_FRAMES * width, height))
    for i, index in enumerate(chosen):
        image.paste(Image.fromarray(frames[index]).resize((width, height), Image.Resampling.BILINEAR), (i * width, 0))
    return _webp(image, MAX_STRIP_BYTES)


def sharpest(frames: Frames) -> int:
    """The middle of the third of the frames with the largest mean sharpness; of equals, the one nearest the middle."""
    sharpness = np.array([_sharpness(frame) for frame in frames])
    length = -(-len(frames) // 3)
    parts = np.convolve(sharpness, np.ones(length) / length, mode="valid")
    middles = np.arange(len(parts)) + length // 2
    best = middles[np.isclose(parts, parts.max())]
    return int(best[np.abs(best - (len(frames) - 1) / 2).argmin()])


def _sharpness(frame: np.ndarray) -> float:
    """Variance of the Laplacian of the brightness: low for flat, dark and blurred pictures."""
    import cv2

    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def _webp(image: Image, most: int) -> bytes:
    """`image` in the best quality, and if need be at a smaller size, that takes at most `most` bytes."""
    while True:
        for quality in (80, 60, 40, 20, 5):
            buffer = BytesIO()
            image.save(buffer, "WEBP", quality=quality)
            if buffer.tell() <= most:
                return buffer.getvalue()
        image = image.reduce(2)
