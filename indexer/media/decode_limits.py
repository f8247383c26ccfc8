"""What reading one video may cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Limits:
    """A file that goes past one of these is refused (VideoError, reason `over-limit`).

    seconds   by the clock, from the first byte read to the last picture
    duration  seconds of video
    pixels    of a picture, width times height
    memory    bytes of address space that decoding may add to its process, None for no limit
    niceness  how much that process yields to others, 0 to 19
    """

    seconds: float = inf
    duration: float = inf
    pixels: float = inf
    memory: int | None = None
    niceness: int = 0


UNLIMITED = Limits()
"""For files of one's own."""

UNTRUSTED = Limits(seconds=60.0, duration=12 * 3600.0, pixels=8192 * 4320, memory=4 * 2**30, niceness=10)
"""For files from strangers: 8K video and half a day of it pass."""
