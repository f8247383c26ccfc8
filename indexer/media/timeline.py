"""When the frames of a video are shown: read off its packets, without decoding any."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.media.clock import Joints, JumpFinder, Part, Stamps, join, mended
from indexer.media.header import Header, encrypted, open_container, packets_of, refusal
from quartet.errors import VideoError

_COMPLETE = 0.9
"""A file with less than this part of what it declares counts as truncated."""

_MIN_TIMED = 0.9
"""With less than this part of the packets timed, the times are of no use."""

_USUAL_RATE = 25.0
"""Frames per second of a file that says nothing of time."""

_USUAL_DIFFERENCE = 0.02
"""By how much of itself a declared frame rate may differ from the measured one: stamps are rounded."""

_OWN_ZERO = {"mov", "matroska"}
"""Containers whose clock has a zero of its own. In others it may begin anywhere, and players begin at their start."""

_DURATION_IS_WRITTEN = {"matroska", "webm", "flv"}
"""Containers that declare no number of frames but a duration. In others FFmpeg may have guessed it."""

_TS_PACKET = 188
"""Bytes of a packet of a transport stream."""

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """The frames of one video stream in the order in which they are shown.

    stamps    (N,) ascending, N >= 1: when each is shown, in units of `base` seconds
    keys      (K, 2) ascending: stamps of those that decoding can begin with, and when each is due in the decoder
    fps       frames per second on average
    duration  seconds from the first frame to the end of the last
    counted   the file has no usable times: stamp i is the i-th frame that the decoder gives
    zero      the stamp at which a player's clock stands at 0 (docs/decoding.md, "The clock")
    joints    where the clock of the file jumps, if it does; stamps and keys do not
    """

    stamps: Stamps
    keys: Stamps
    base: Fraction
    fps: float
    duration: float
    counted: bool
    zero: int = 0
    joints: Joints | None = None

    @cached_property
    def times(self) -> Seconds:
        """(N,) seconds by the player's clock."""
        return np.asarray((self.stamps - self.zero) * float(self.base), dtype=np.float64)

    @property
    def start(self) -> float:
        """When the first frame is shown, by the player's clock."""
        return self.seconds(int(self.stamps[0]))

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def seekable(self) -> bool:
        """Whether the file can be searched by the times of its frames."""
        return not self.counted and (self.joints is None or self.joints.forward)

    def by_file(self, stamp: int) -> int:
        """A stamp by the clock of the file, which it is searched by."""
        return stamp if self.joints is None else self.joints.by_file(stamp)

    def seconds(self, stamp: int) -> float:
        """A stamp by the player's clock."""
        return float((stamp - self.zero) * self.base)


def read_timeline(path: Path, header: Header, alive: Callable[[], None] = lambda: None) -> Timeline:
    """Demultiplex a whole file. `alive` is called now and then, to say that it goes on.

    Raises VideoError if the file is truncated or has no frame.
    """
    import av

    try:
        with open_container(path, header.source) as container:
            return _read(path, header, container, alive)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error


def _read(path: Path, header: Header, container: Any, alive: Callable[[], None]) -> Timeline:
    stream = container.streams[header.stream]
    base = Fraction(stream.time_base or 1)
    stamps, keys = array("q"), array("q")
    jumps = JumpFinder(base, header.formats)
    packets, count, reordered = 0, 0, False
    end = last = length = 0
    # All streams: the sound may go on where the pictures end, and the file is complete all the same.
    for packet in mended(packets_of(container), stream, header.formats):
        if packet.size == 0 or packet.time_base is None:
            continue
        alive()
        if packet.pts is not None:
            end = max(end, (packet.pts + packet.duration) * packet.time_base)
        if packet.stream_index != header.stream:
            continue
        jumps.see(packet, packets, len(stamps), len(keys) // 2)
        packets += 1
        if packet.has_sidedata("encryption_info"):  # MP4
            raise encrypted(path)
        if packet.is_discard:
            continue
        count += 1
        reordered = reordered or packet.pts != packet.dts
        if packet.pts is None:
            continue
        stamps.append(packet.pts)
        if packet.is_keyframe:
            keys.extend((packet.pts, packet.pts if packet.dts is None else packet.dts))
        if len(stamps) == 1 or packet.pts > last:
            last, length = packet.pts, packet.duration
    if count == 0 and "mpegts" in header.formats and _is_scrambled(path):
        raise encrypted(path)
    if count == 0:
        raise VideoError(path, "unreadable", "The video has no frames.")
    _require_complete(path, header, count, float(end))
    # AVI stores no times, only an order of decoding: those of reordered frames are guesses of FFmpeg.
    guessed = reordered and "avi" in header.formats
    if guessed or not stamps or len(stamps) < _MIN_TIMED * count:
        return _counted(count, header.fps or _USUAL_RATE)
    parts = jumps.confirmed(lambda: _due_elsewhere(path, header, alive))
    return _timeline(header, base, stamps, keys, length, parts)


def _is_scrambled(path: Path) -> bool:
    """Whether packets of a transport stream are: `transport_scrambling_control` (ISO/IEC 13818-1, 2.4.3.3)."""
    with path.open("rb") as file:
        head = file.read(_TS_PACKET * 1000)
    begins = range(0, len(head) - 3, _TS_PACKET)
    return all(head[at] == 0x47 for at in begins) and any(head[at + 3] & 0xC0 for at in begins)


def _due_elsewhere(path: Path, header: Header, alive: Callable[[], None]) -> list[float]:
    """Seconds at which packets of sound and of other pictures are due."""
    due = []
    with open_container(path, header.source) as container:
        others = [each for each in container.streams if each.type in ("audio", "video") and each.index != header.stream]
        for packet in packets_of(container, *others) if others else ():
            alive()
            if packet.size and packet.dts is not None and packet.time_base is not None:
                due.append(float(packet.dts * packet.time_base))
    return due


def _timeline(
    header: Header, base: Fraction, stamps: array[int], keys: array[int], length: int, parts: Sequence[Part]
) -> Timeline:
    """`length` is that of the last frame, 0 if unknown."""
    joints = None
    shown, pairs = np.frombuffer(stamps, dtype=np.int64), np.frombuffer(keys, dtype=np.int64).reshape(-1, 2)
    if parts:
        shown, pairs, joints = join(parts, stamps, keys)
    shown, pairs = np.unique(shown), np.unique(pairs, axis=0)
    spread = float((shown[-1] - shown[0]) * base)
    if not length and len(shown) > 1:
        length = int(shown[-1] - shown[-2])
    duration = spread + (float(length * base) if length else 1 / (header.fps or 1.0))
    measured = len(shown) / duration
    fps = header.fps if abs(measured - header.fps) <= _USUAL_DIFFERENCE * header.fps else measured
    zero = min(0 if header.formats & _OWN_ZERO else round(Fraction(header.begin) / base), int(shown[0]))
    return Timeline(shown, pairs, base, fps, duration, False, zero, joints)


def _counted(count: int, fps: float) -> Timeline:
    base = 1 / Fraction(fps).limit_denominator(100_000)
    return Timeline(np.arange(count, dtype=np.int64), np.zeros((0, 2), np.int64), base, fps, count / fps, True)


def _require_complete(path: Path, header: Header, frames: int, end: float) -> None:
    """`end` is the latest by the container's clock. Frames alone can also be missing in MP4 and QuickTime because of
    an edit list: such a file ends in time."""
    seconds, declared = end - header.begin, header.duration
    if "matroska" in header.formats and declared > header.begin:
        # Matroska declares when it ends, not how long it lasts.
        declared -= header.begin
    ends_early = seconds < _COMPLETE * declared
    if header.formats & _DURATION_IS_WRITTEN and ends_early:
        detail = f"The file ends after {seconds:.1f} of the {declared:.1f} s in its header."
        raise VideoError(path, "truncated", detail)
    if frames < _COMPLETE * header.frames and (ends_early or "mov" not in header.formats):
        raise VideoError(path, "truncated", f"The file has {frames} of the {header.frames} frames in its header.")
