"""How a file is divided into clips: as a whole, in windows of equal length, or at its cuts."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal, NamedTuple

from quartet.errors import InputError

Kind = Literal["whole", "window", "shot"]


class Span(NamedTuple):
    """A part [start, end) of a video, in seconds by the player's clock (docs/decoding.md)."""

    start: float
    end: float


@dataclass(frozen=True)
class Segmentation:
    """How files are divided.

    kind       `whole`: a file is a clip. `window`: windows of `window` seconds, each of which shares `overlap`
               seconds with the previous one. `shot`: from cut to cut.
    threshold  `shot`: how much neighbouring frames must differ for a cut, in grey levels of hue, saturation and
               brightness on average
    Raises InputError for numbers that make no sense.
    """

    kind: Kind = "whole"
    window: float = 10.0
    overlap: float = 2.0
    threshold: float = 27.0

    def __post_init__(self) -> None:
        if self.kind not in ("whole", "window", "shot"):
            raise InputError(f"Divide a video by whole, window or shot, not by {self.kind!r}.")
        if not 0.1 <= self.window < float("inf"):
            raise InputError(f"A window must last at least 0.1 s, not {self.window:g} s.")
        # Every frame of a file is in at most ten windows: this bounds the work and the memory.
        if not 0 <= self.overlap <= 0.9 * self.window:
            raise InputError(
                f"The overlap of windows of {self.window:g} s must be from 0 to {0.9 * self.window:g} s, "
                f"not {self.overlap:g} s."
            )
        if not 0 < self.threshold <= 255:
            raise InputError(f"The threshold of a cut must be above 0 and at most 255, not {self.threshold:g}.")

    @property
    def text(self) -> str:
        """The kind and the numbers that count for it, as the catalogue has them: `window 10 2`."""
        numbers = {"whole": (), "window": (self.window, self.overlap), "shot": (self.threshold,)}[self.kind]
        return " ".join([self.kind, *(f"{number:.12g}" for number in numbers)])

    @classmethod
    def parse(cls, text: str) -> Segmentation:
        """The segmentation with this `text`."""
        kind, *given = text.split()
        numbers = [float(number) for number in given]
        if kind == "window":
            return cls("window", *numbers)
        return cls("shot", threshold=numbers[0]) if kind == "shot" else cls()


WHOLE = Segmentation()


def windows(duration: float, length: float, overlap: float, begin: float = 0.0) -> list[Span]:
    """The windows over `duration` seconds of video that begins at `begin`. The last one ends with the video.

    It begins earlier than its turn, so as to be as long as the others; or, where hardly anything would be left
    for one more, it is longer by up to a tenth of a step.
    """
    if duration <= length:
        return [Span(begin, begin + duration)]
    step = length - overlap
    turns = 1 + max(0, ceil((duration - length) / step - 0.1))
    starts = [begin + i * step for i in range(turns - 1)]
    last = begin + min((turns - 1) * step, duration - length)
    return [Span(start, start + length) for start in starts] + [Span(last, begin + duration)]
