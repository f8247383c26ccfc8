"""Shots: where PySceneDetect's content detector sees a cut, in one pass over the frames of a file.

Frames are decoded once. Each one is shown to the detector, and kept for as long as it may be among the sampled
ones of its shot: a shot of any length is held by a bounded number of pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from indexer.media.frames import Picture
from indexer.media.segmentation import Span
from indexer.media.timeline import Timeline

MIN_SHOT = 0.6
"""Seconds: shorter shots are joined to their neighbours, as flashes and fast cuts are (PySceneDetect's default)."""

_PICTURES_PER_SAMPLE = 8
"""Pictures kept of a long shot for each one that is sampled. When there are more, every second one goes."""

_DETECTION_WIDTH = 256
"""Pixels: the width to which PySceneDetect itself reduces frames."""

_MICRO = 1_000_000
"""The detector counts time in whole microseconds."""


def find_shots(
    pictures: Iterable[Picture], timeline: Timeline, count: int, threshold: float
) -> Iterator[tuple[Span, list[Picture]]]:
    """The shots of a video in the order of time, each with up to `count` of its pictures.

    pictures   every frame of the video
    count      pictures are those on screen at the mid-points of as many equal parts of the shot; in a long shot
               they may be earlier by up to a quarter of such a part
    threshold  see `Segmentation`
    """
    detector = _Detector(timeline, threshold)
    shot = _Shot(timeline.start, _PICTURES_PER_SAMPLE * count)
    # A cut may be reported MIN_SHOT seconds late. Until then nobody knows which shot a picture belongs to.
    recent: deque[Picture] = deque()
    for picture in pictures:
        recent.append(picture)
        cut = detector.cut(picture)
        if cut is not None:
            while round(recent[0].time * _MICRO) < cut:
                shot.add(recent.popleft())
            end = recent[0].time
            yield Span(shot.start, end), shot.sample(count, end)
            shot = _Shot(end, _PICTURES_PER_SAMPLE * count)
        # One picture older than that stays: the detector counts from a frame, not from a time.
        while len(recent) > 1 and recent[1].time < picture.time - MIN_SHOT:
            shot.add(recent.popleft())
    for picture in recent:
        shot.add(picture)
    yield Span(shot.start, timeline.end), shot.sample(count, timeline.end)


class _Shot:
    """The pictures of one shot, thinned out as it grows longer."""

    def __init__(self, start: float, most: int) -> None:
        self.start = start
        self._most = most
        self._spacing = 0.0
        self._pictures: list[Picture] = []

    def add(self, picture: Picture) -> None:
        # Nine tenths, because some containers round times to milliseconds.
        if self._pictures and picture.time < self._pictures[-1].time + 0.9 * self._spacing:
            return
        self._pictures.append(picture)
        if len(self._pictures) > self._most:
            self._pictures = self._pictures[::2]
            self._spacing = (self._pictures[-1].time - self._pictures[0].time) / (len(self._pictures) - 1)

    def sample(self, count: int, end: float) -> list[Picture]:
        middles = self.start + (np.arange(count) + 0.5) * (end - self.start) / count
        times = [picture.time for picture in self._pictures]
        on_screen = np.clip(np.searchsorted(times, middles, side="right") - 1, 0, None)
        return [self._pictures[index] for index in np.unique(on_screen)]


class _Detector:
    """PySceneDetect's content detector, with the times of the frames."""

    def __init__(self, timeline: Timeline, threshold: float) -> None:
        from scenedetect.common import FrameTimecode, Timecode
        from scenedetect.detectors import ContentDetector

        rate = Fraction(timeline.fps).limit_denominator(100_000)
        self._timecode = lambda moment: FrameTimecode(Timecode(moment, Fraction(1, _MICRO)), rate)
        self._detector = ContentDetector(threshold=threshold, min_scene_len=MIN_SHOT)

    def cut(self, picture: Picture) -> int | None:
        """The first frame of a new shot, in microseconds, if this frame has shown that there is one."""
        import cv2

        pixels = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2BGR)
        height, width = pixels.shape[:2]
        if width > _DETECTION_WIDTH:
            pixels = cv2.resize(pixels, (_DETECTION_WIDTH, max(1, round(height * _DETECTION_WIDTH / width))))
        found = self._detector.process_frame(self._timecode(round(picture.time * _MICRO)), pixels)
        return found[0].pts if found else None
