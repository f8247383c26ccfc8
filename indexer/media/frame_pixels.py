"""Decoded frames as they are shown: of square pixels, turned, mirrored, scaled, in the colours of a display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.media.container_crop import Crop
from indexer.media.tone_mapping import map_to_bt709, needs_mapping

SHORT_SIDE = 384
"""Frames are scaled down to this many pixels on the shorter side: no backbone here looks at more."""


_WHOLE = Crop()


class FrameConverter:
    """Frames (PyAV) to RGB pixels, all of the size of the first one.

    pixel_aspect  how many times as wide as high a stored pixel is shown
    short_side    pixels on the shorter side at most; None: none is lost
    crop          stored pixels that are not shown
    """

    def __init__(self, pixel_aspect: float, short_side: int | None = SHORT_SIDE, crop: Crop = _WHOLE) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._pixel_aspect = pixel_aspect
        self._short_side = short_side
        self._crop = crop
        self._reformatter = VideoReformatter()
        # The bilinear filter widens with the reduction, so that it averages instead of skipping pixels.
        self._filter = Interpolation.BILINEAR
        self._size: tuple[int, int] | None = None
        self._shown_part = (slice(None), slice(None))
        self._turn = _AS_IT_IS
        self.shown = (0, 0)
        """Width and height in pixels as shown; known once a frame has been converted."""

    def convert(self, frame: Any) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB, at most `short_side` on the shorter side."""
        if self._size is None:
            left, top, right, bottom = self._crop
            stored = frame.width - left - right, frame.height - top - bottom
            width, height = square_pixels(*stored, self._pixel_aspect)
            scale = 1.0 if self._short_side is None else min(1.0, self._short_side / min(width, height))
            inner = max(1, round(width * scale)), max(1, round(height * scale))
            across, down = inner[0] / stored[0], inner[1] / stored[1]
            x, y = round(left * across), round(top * down)
            self._size = inner[0] + x + round(right * across), inner[1] + y + round(bottom * down)
            self._shown_part = slice(y, y + inner[1]), slice(x, x + inner[0])
            self._turn = _turn_of(frame)
            self.shown = (height, width) if self._turn.swapped else (width, height)
        if needs_mapping(frame):
            scaled = self._reformatter.reformat(frame, *self._size, "rgb48le", interpolation=self._filter)
            pixels = map_to_bt709(np.asarray(scaled.to_ndarray(), dtype=np.uint16), frame.color_trc)
        else:
            scaled = self._reformatter.reformat(frame, *self._size, "rgb24", interpolation=self._filter)
            pixels = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        return np.ascontiguousarray(self._turn.apply(pixels[self._shown_part]))


def square_pixels(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """The size at which pixels are square and none is lost: as browsers do it, one side grows and none shrinks."""
    if pixel_aspect >= 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


@dataclass(frozen=True)
class _Turn:
    """How a decoded picture is shown: with rows and columns swapped, and then flipped."""

    swapped: bool
    across: bool
    upside_down: bool

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self.swapped:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.upside_down else 1, :: -1 if self.across else 1]


_AS_IT_IS = _Turn(False, False, False)


def _turn_of(frame: Any) -> _Turn:
    """The display matrix of a frame, to the nearest quarter turn.

    It takes the point (p, q) to (a p + c q + x, b p + d q + y): QuickTime File Format, "Matrices".
    """
    from av.sidedata.sidedata import Type

    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return _AS_IT_IS
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _Turn(False, a < 0, d < 0)
    return _Turn(True, c < 0, b < 0)
