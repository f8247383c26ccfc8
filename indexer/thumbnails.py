"""One small WebP picture per clip."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from model.encoder import Frames

MAX_SIDE = 320
"""Pixels: no picture is wider or higher."""

MAX_BYTES = 20_000


def thumbnail(frames: Frames) -> bytes:
    """The middle one of (T, H, W, 3) uint8 frames as a WebP within MAX_SIDE pixels a side and MAX_BYTES."""
    from PIL import Image

    image = Image.fromarray(frames[len(frames) // 2])
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    while True:
        for quality in (80, 60, 40, 20, 5):
            buffer = BytesIO()
            image.save(buffer, "WEBP", quality=quality)
            if buffer.tell() <= MAX_BYTES:
                return buffer.getvalue()
        image = image.reduce(2)


def save_thumbnail(path: Path, picture: bytes) -> None:
    """Write a picture so that no reader sees half of it. It is not flushed: it can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(picture)
    temporary.replace(path)
