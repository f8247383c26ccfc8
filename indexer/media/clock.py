"""The clock of a file where it jumps: recordings that were joined, stamps that wrapped or began again.

A jump adds no time: each part follows the previous one without a gap. `times` of a timeline, spans and pictures know
only the continuous clock; what a demuxer gives and is searched by are the file's own stamps.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Stamps = npt.NDArray[np.int64]

_MIN_RESTART = Fraction(1, 2)
"""Seconds that a clock must fall back to have begun again."""

_GAP, _GAP_OF_BROADCASTS = 3600, 10
"""Seconds without any packet that are not pause but a jump. FFmpeg takes 10 s for one in the latter, too."""

_BROADCASTS = {"mpegts", "mpeg", "flv"}
"""Containers of streams, whose clock may begin again at any packet."""


def mended(packets: Iterator[Any], stream: Any, formats: frozenset[str]) -> Iterator[Any]:
    """The packets of streams, where in broadcasts a picture of the stream `stream` is shown long after it is due.

    At a joint FFmpeg gives the last picture before it the time of the first one after it: it is shown as much later
    than due as the previous one.
    """
    if not formats & _BROADCASTS:
        yield from packets
        return
    base = Fraction(stream.time_base)
    back, gap, usual = round(_MIN_RESTART / base), round(_GAP_OF_BROADCASTS / base), 0
    for packet in packets:
        if packet.stream_index == stream.index and packet.pts is not None and packet.dts is not None:
            delay = packet.pts - packet.dts
            if -back <= delay <= gap:
                usual = delay
            else:
                packet.pts = packet.dts + usual
        yield packet


@dataclass(frozen=True)
class Part:
    """The packets of a video stream between two jumps: the numbers of its first packet and first stamp, its first due
    time in the decoder, and the due time at which the part before ended."""

    packet: int
    stamp: int
    key: int
    due: int
    before: int


class JumpFinder:
    """Watches the packets of a video stream go by, and remembers where their due times may have jumped."""

    def __init__(self, base: Fraction, formats: frozenset[str]) -> None:
        self.base = base
        self.gap = _GAP_OF_BROADCASTS if formats & _BROADCASTS else _GAP
        self.candidates: list[Part] = []
        self._back, self._forward = round(_MIN_RESTART / base), round(self.gap / base)
        self._expected: int | None = None

    def see(self, packet: Any, packets: int, stamps: int, keys: int) -> None:
        """The next packet, and how many packets, stamps and keys came before it."""
        due, expected = packet.dts, self._expected
        if due is None:
            return
        if expected is not None and not expected - self._back <= due <= expected + self._forward:
            self.candidates.append(Part(packets, stamps, keys, due, expected))
        self._expected = due + (packet.duration or 0)

    def confirmed(self, covered: Callable[[], Sequence[float]]) -> list[Part]:
        """The jumps among the candidates. A jump forward counts only where no other stream goes on.

        covered  gives the due times in seconds of the packets of the other streams; asked only if it matters
        """
        forward = [part for part in self.candidates if part.due > part.before]
        if not forward:
            return self.candidates
        others = np.sort(np.asarray(covered(), dtype=np.float64))

        def jumps(part: Part) -> bool:
            start, end = float(part.before * self.base), float(part.due * self.base)
            inside = others[(others > start) & (others < end)]
            return bool(np.diff([start, *inside, end]).max() > self.gap)

        return [part for part in self.candidates if part.due <= part.before or jumps(part)]


@dataclass(frozen=True)
class Joints:
    """What to add to the stamps of a file, part by part, so that each part follows the previous one.

    packets  (J,) numbers of the first packet of each part
    due      (J,) due time of that packet by the file's clock
    shifts   (J,) to be added to every stamp of the part
    """

    packets: Stamps
    due: Stamps
    shifts: Stamps

    @property
    def forward(self) -> bool:
        """Whether the clock never falls back, so that the file can be searched by it."""
        return bool((np.diff(self.due) > 0).all() and (np.diff(self.shifts) < 0).all())

    def shift(self, number: int, due: int | None) -> int:
        """Of the packet with this number in its stream; unknown (negative) after a seek, where its due time tells."""
        known, place = (self.packets, number) if number >= 0 or due is None else (self.due, due)
        return int(self.shifts[max(0, int(np.searchsorted(known, place, side="right")) - 1)])

    def by_file(self, stamp: int) -> int:
        """A stamp of the continuous clock by the file's own."""
        part = int(np.searchsorted(self.due + self.shifts, stamp, side="right")) - 1
        return stamp - int(self.shifts[max(0, part)])


def join(parts: Sequence[Part], stamps: array[int], keys: array[int]) -> tuple[Stamps, Stamps, Joints]:
    """Stamps and keys by the continuous clock, and how they came about. See `Timeline` for both; `parts` not empty."""
    shown = np.frombuffer(stamps, dtype=np.int64).copy()
    pairs = np.frombuffer(keys, dtype=np.int64).reshape(-1, 2).copy()
    firsts = [Part(0, 0, 0, np.iinfo(np.int64).min // 2, 0), *parts]
    shifts = [0]
    for before, part, after in zip(firsts, parts, [*parts[1:], None], strict=False):
        own = slice(part.stamp, None if after is None else after.stamp)
        earlier = np.unique(shown[before.stamp : part.stamp])
        if len(earlier) and len(shown[own]):
            step = int(np.median(np.diff(earlier))) if len(earlier) > 1 else 1
            shifts.append(int(earlier[-1]) + step - int(shown[own].min()))
        else:
            shifts.append(shifts[-1])
        shown[own] += shifts[-1]
        pairs[part.key : None if after is None else after.key] += shifts[-1]
    numbers = np.array([part.packet for part in firsts], dtype=np.int64)
    due = np.array([part.due for part in firsts], dtype=np.int64)
    return shown, pairs, Joints(numbers, due, np.array(shifts, dtype=np.int64))
