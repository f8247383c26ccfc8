"""When the frames of a video are shown: read off its packets, without decoding any."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.media.header import Header, open_container, refusal
from quartet.errors import VideoError

_COMPLETE = 0.9
"""A file with less than this part of what it declares counts as truncated."""

_LEAST_TIMED = 0.9
"""With less than this part of the packets timed, the times are of no use."""

_USUAL_RATE = 25.0
"""Frames per second of a file that says nothing of time."""

_RESTART = Fraction(1, 2)
"""Seconds that a clock must fall back to have begun again, as in recordings that were joined."""

_DURATION_IS_WRITTEN = {"matroska", "webm", "flv"}
"""Containers that declare no number of frames but a duration. In others FFmpeg may have guessed it."""

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """The frames of one video stream in the order in which they are shown.

    stamps    (N,) ascending, N >= 1: when each is shown, in units of `base` seconds
    keys      (K, 2) ascending: stamps of those that decoding can begin with, and when each is due in the decoder
    fps       frames per second on average
    duration  seconds from the first frame to the end of the last
    counted   the file has no usable times: stamp i is the i-th frame that the decoder gives
    """

    stamps: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    base: Fraction
    fps: float
    duration: float
    counted: bool

    @cached_property
    def times(self) -> Seconds:
        """(N,) seconds from the first frame."""
        return np.asarray((self.stamps - self.stamps[0]) * float(self.base), dtype=np.float64)

    def seconds(self, stamp: int) -> float:
        """Seconds from the first frame to `stamp`."""
        return float((stamp - int(self.stamps[0])) * self.base)


def read_timeline(path: Path, header: Header, alive: Callable[[], None] = lambda: None) -> Timeline:
    """Demultiplex a whole file. `alive` is called now and then, to say that it goes on.

    Raises VideoError if the file is truncated or has no frame.
    """
    import av

    try:
        with open_container(path) as container:
            return _read(path, header, container, alive)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error


def _read(path: Path, header: Header, container: Any, alive: Callable[[], None]) -> Timeline:
    stream = container.streams[header.stream]
    base = Fraction(stream.time_base or 1)
    stamps, keys = array("q"), array("q")
    restart = _RESTART / base
    count, latest, restarted, reordered = 0, None, False, False
    end = last = length = 0
    # All streams: the sound may go on where the pictures end, and the file is complete all the same.
    for packet in container.demux():
        if packet.size == 0 or packet.time_base is None:
            continue
        alive()
        if packet.pts is not None:
            end = max(end, (packet.pts + packet.duration) * packet.time_base)
        if packet.stream_index != header.stream or packet.is_discard:
            continue
        count += 1
        if packet.dts is not None:
            restarted = restarted or (latest is not None and packet.dts < latest - restart)
            latest = packet.dts
        reordered = reordered or packet.pts != packet.dts
        if packet.pts is None:
            continue
        stamps.append(packet.pts)
        if packet.is_keyframe:
            keys.extend((packet.pts, packet.pts if packet.dts is None else packet.dts))
        if len(stamps) == 1 or packet.pts > last:
            last, length = packet.pts, packet.duration
    if count == 0:
        raise VideoError(path, "unreadable", "The video has no frames.")
    _require_complete(path, header, count, float(end) - (container.start_time or 0) / 1e6)
    # AVI stores no times, only an order of decoding: those of reordered frames are guesses of FFmpeg.
    guessed = reordered and "avi" in header.formats
    if guessed or restarted or len(stamps) < _LEAST_TIMED * count:
        return _counted(count, header.fps or _USUAL_RATE)
    shown = np.unique(np.frombuffer(stamps, dtype=np.int64))
    spread = float((shown[-1] - shown[0]) * base)
    fps = header.fps or (len(shown) - 1) / max(spread, 1e-3) or 1.0
    duration = spread + (float(length * base) if length else 1 / fps)
    pairs = np.unique(np.frombuffer(keys, dtype=np.int64).reshape(-1, 2), axis=0)
    return Timeline(shown, pairs, base, fps, duration, False)


def _counted(count: int, fps: float) -> Timeline:
    base = 1 / Fraction(fps).limit_denominator(100_000)
    return Timeline(np.arange(count, dtype=np.int64), np.zeros((0, 2), np.int64), base, fps, count / fps, True)


def _require_complete(path: Path, header: Header, frames: int, end: float) -> None:
    """Frames alone can also be missing in MP4 and QuickTime because of an edit list: such a file ends in time."""
    ends_early = end < _COMPLETE * header.duration
    if header.formats & _DURATION_IS_WRITTEN and ends_early:
        detail = f"The file ends after {end:.1f} of the {header.duration:.1f} s that it declares."
        raise VideoError(path, "truncated", detail)
    if frames < _COMPLETE * header.frames and (ends_early or "mov" not in header.formats):
        raise VideoError(path, "truncated", f"The file has {frames} of the {header.frames} frames that it declares.")
