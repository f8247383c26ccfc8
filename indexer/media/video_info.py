"""What a whole video file is like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoInfo:
    """A whole video file: seconds, frames per second on average, pixels as shown (after rotation), frames."""

    duration: float
    fps: float
    width: int
    height: int
    frames: int
