"""Pictures of clips: small in pixels and in bytes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.thumbnails import MAX_BYTES, MAX_SIDE, save_thumbnail, thumbnail


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
    noise = np.random.default_rng(0).integers(0, 256, (1, 720, 720, 3), dtype=np.uint8)
    picture = thumbnail(noise)
    assert len(picture) <= MAX_BYTES
    assert max(Image.open(BytesIO(picture)).size) <= MAX_SIDE


def test_is_written_in_one_piece(tmp_path: Path) -> None:
    save_thumbnail(tmp_path / "000000" / "7.webp", b"old")
    save_thumbnail(tmp_path / "000000" / "7.webp", b"new")
    assert [path.read_bytes() for path in (tmp_path / "000000").iterdir()] == [b"new"]
