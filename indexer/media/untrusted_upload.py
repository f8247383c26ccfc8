"""Reading one video from a stranger: an upload, not a file of the library."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_limits import UNTRUSTED, Limits
from indexer.media.decode_pool import DecodePool, Part


def decode_untrusted(path: Path, count: int, limits: Limits = UNTRUSTED, part: Part | None = None) -> SampledClip:
    """Sample `count` frames of a file as `clip_reader.sample_frames` does, in a process made for it alone.

    part  of the video, which may then also be a picture (`still_pictures.read_picture`); None: a whole video

    What the file does to its decoder, it does to that process, which is ended in any case: it crashes, hangs, or
    fills the memory without harm. Nothing of the file is kept. Raises VideoError if it cannot be used or goes past
    one of `limits`.
    """
    with closing(DecodePool(limits=limits, start="forkserver")) as pool:
        (decoded,) = pool.clips(path, count, part=part)
    return decoded.clip
