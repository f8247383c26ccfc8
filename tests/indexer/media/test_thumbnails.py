"""Pictures of clips: small in pixels and in bytes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from indexer.media.thumbnails import (
    MAX_BYTES,
    MAX_SIDE,
    MAX_STRIP_BYTES,
    STRIP_FRAMES,
    STRIP_SIDE,
    sharpest,
    strip,
    thumbnail,
)


@pytest.mark.parametrize(
    ("size", "expected"), [((720, 1280), (320, 180)), ((1280, 720), (180, 320)), ((48, 64), (64, 48)), ((1, 1), (1, 1))]
)
def test_shows_the_middle_frame_within_its_bounds(size: tuple[int, int], expected: tuple[int, int]) -> None:
    frames = np.zeros((3, *size, 3), dtype=np.uint8)
    frames[1] = (200, 30, 60)
    image = Image.open(BytesIO(thumbnail(frames)))
    assert (image.format, image.size) == ("WEBP", expected)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 30, 60)).max() < 12


def test_noise_is_kept_within_the_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 720, 720, 3), dtype=np.uint8)
    picture, leaves = thumbnail(noise), strip(noise)
    assert len(picture) <= MAX_BYTES
    assert max(Image.open(BytesIO(picture)).size) <= MAX_SIDE
    assert len(leaves) <= MAX_STRIP_BYTES
    assert Image.open(BytesIO(leaves)).width <= STRIP_FRAMES * STRIP_SIDE


def test_the_sharpest_part_is_a_third_of_the_clip() -> None:
    pattern = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    contrast = [0.1, 0.1, 1.0, 0.1, 0.1, 0.8, 0.9, 0.8, 0.1]
    frames = np.stack([(pattern * c).astype(np.uint8) for c in contrast])
    # A single sharp frame does not make a sharp part.
    assert sharpest(frames) == 6
    assert sharpest(np.zeros((7, 8, 8, 3), np.uint8)) == 3


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_a_strip_leafs_through_the_clip(count: int) -> None:
    frames = np.stack([np.full((360, 640, 3), 10 + 12 * i, np.uint8) for i in range(count)])
    image = Image.open(BytesIO(strip(frames)))
    assert (image.format, image.size) == ("WEBP", (STRIP_FRAMES * 160, 90))
    cells = np.asarray(image.convert("L")).reshape(90, STRIP_FRAMES, 160).mean(axis=(0, 2))
    expected = [10 + 12 * int((i + 0.5) * count / STRIP_FRAMES) for i in range(STRIP_FRAMES)]
    assert cells == pytest.approx(expected, abs=3)
