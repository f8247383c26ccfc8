"""What makes texts of a video that carries none: reading what is written on screen.

A maker is any object with a name and `texts(video)`. Another is in `spoken_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from indexer.catalog.records import Video
from indexer.media.clip_reader import SampledClip, read_clips
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.media.subtitle_streams import StreamText
from quartet.errors import InputError

_MIN_CONFIDENCE = 0.8
"""How sure the reader must be of a line, from 0 to 1."""

_MIN_CHARACTERS = 3
"""Letters and digits of a line: less is mostly a pattern that looks like writing."""


class TextMaker(Protocol):
    """Makes texts of a video. `name` is what a library knows and shows as their source, so it never changes."""

    name: str

    def texts(self, video: Video) -> Iterator[StreamText]:
        """Its texts with their times, in seconds of the player's clock. Raises VideoError."""
        ...


class ScreenText:
    """Lines that are written on screen, read off the sampled frames of every clip by RapidOCR.

    frames  of a clip, as for its encoder. Raises InputError if RapidOCR is not installed.
    """

    name = "on screen"

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._reader = _rapid_ocr()

    def texts(self, video: Video) -> Iterator[StreamText]:
        segmentation = WHOLE if video.segmentation is None else Segmentation.parse(video.segmentation)
        for clip in read_clips(video.path, self._frames, segmentation):
            yield from self._of(clip)

    def _of(self, clip: SampledClip) -> Iterator[StreamText]:
        """The lines of a clip, each from the first frame that shows it to the end of the last one."""
        ends = [*clip.times[1:].tolist(), clip.span.end]
        shown: dict[str, tuple[float, float]] = {}
        for picture, time, end in zip(clip.frames, clip.times.tolist(), ends, strict=True):
            for line in self._lines(picture):
                shown[line] = (shown.get(line, (time, end))[0], end)
        for line, (start, end) in shown.items():
            yield StreamText(start, end, line, None)

    def _lines(self, picture: Any) -> Sequence[str]:
        # It takes pictures as OpenCV has them: blue first.
        found = self._reader(picture[..., ::-1])
        if found.txts is None:
            return []
        lines = (
            " ".join(text.split())
            for text, sure in zip(found.txts, found.scores, strict=True)
            if sure >= _MIN_CONFIDENCE
        )
        return [line for line in lines if sum(letter.isalnum() for letter in line) >= _MIN_CHARACTERS]


def _rapid_ocr() -> Any:
    try:
        from rapidocr import RapidOCR
    except ModuleNotFoundError as error:
        raise InputError("Reading texts on screen needs RapidOCR: pip install '.[ocr]'.") from error
    # The pieces of the model come with the package: nothing is fetched.
    return RapidOCR(params={"Global.log_level": "error"})
