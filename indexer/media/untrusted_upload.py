"""Reading one video from a stranger: an upload, not a file of the library."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_limits import UNTRUSTED, Limits
from indexer.media.decode_pool import DecodePool, Part


class UntrustedDecoding:
    """`count` frames of a file, as `clip_reader.sample_frames` takes them, in a process made for it alone.

    What the file does to its decoder, it does to that process, which is ended in any case: it crashes, hangs, or
    fills the memory without harm. Nothing of the file is kept.

    part  of the video, which may then also be a picture (`still_pictures.read_picture`); None: a whole video
    """

    def __init__(self, path: Path, count: int, limits: Limits = UNTRUSTED, part: Part | None = None) -> None:
        self._path, self._count, self._part = path, count, part
        self._pool = DecodePool(limits=limits)

    def run(self) -> SampledClip:
        """The frames. Raises VideoError if the file cannot be used, goes past a limit, or `stop` was called."""
        with closing(self._pool) as pool:
            (decoded,) = pool.clips(self._path, self._count, part=self._part)
        return decoded.clip

    def stop(self) -> None:
        """End the process, from any thread. `run` then raises."""
        self._pool.stop()


def decode_untrusted(path: Path, count: int, limits: Limits = UNTRUSTED, part: Part | None = None) -> SampledClip:
    """See `UntrustedDecoding`."""
    return UntrustedDecoding(path, count, limits, part).run()
