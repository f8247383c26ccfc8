"""How each file of a run is to be divided into clips, and whether the clips that it has still stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from indexer.catalog.records import Video
from indexer.media.segmentation import WHOLE, Segmentation


class SegmentationPlan:
    """With a segmentation that was asked for, that is how, and what was cut otherwise is cut again.

    Without one every file keeps its clips, a changed one is cut as it was, and a new one like the latest video of
    the input that it is in; where there is none, it is one clip.

    known   the videos at the places that are indexed
    latest  the latest video of each input
    """

    def __init__(self, asked: Segmentation | None, known: Sequence[Video], latest: Mapping[Path, Video | None]) -> None:
        self._asked = asked
        self._of_file = {video.path: video.segmentation for video in known}
        self._of_input = {entry: None if video is None else video.segmentation for entry, video in latest.items()}

    def is_current(self, video: Video) -> bool:
        return self._asked is None or video.segmentation == self._asked.text

    def of(self, path: Path) -> Segmentation:
        """How to cut a file that has no clips or no longer those that it should have."""
        if self._asked is not None:
            return self._asked
        inputs = (text for entry, text in self._of_input.items() if path.is_relative_to(entry))
        text = self._of_file.get(path) or next(inputs, None)
        return WHOLE if text is None else Segmentation.parse(text)
