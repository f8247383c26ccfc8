"""Recognising the videos of a library by their content, wherever they are now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from indexer.catalog.records import FileState, Video
from indexer.disk.presence import is_gone


class ContentFinder:
    """Tells which files hold a video that the library knows."""

    def __init__(self, known: Sequence[Video]) -> None:
        self._by_path = {video.path: video for video in known}
        self._missing: dict[int, list[Video]] = {}
        for video in known:
            if is_gone(video.path):
                self._missing.setdefault(video.size, []).append(video)
        self.claimed: set[int] = set()

    def at(self, path: Path) -> Video | None:
        """The video that the library has at a path, whatever is there now."""
        return self._by_path.get(path)

    def candidates(self, file: FileState) -> list[Video]:
        """The videos that a file may hold, by its size: the one at its path, and those whose own files have gone."""
        here = self._by_path.get(file.path)
        found = [here] if here is not None and here.size == file.size else []
        return found + self._missing.get(file.size, [])

    def claim(self, file: FileState, fits: Callable[[Video], bool] = lambda video: True) -> Video | None:
        """The first of the candidates with the content of `file` that fits. One whose own file has gone is given once.

        Two copies of a moved video may both have been taken for it, by machines that do not know of each other.
        """
        video = next((each for each in self.candidates(file) if each.sha256 == file.sha256 and fits(each)), None)
        lost = self._missing.get(file.size, [])
        if video is not None and video in lost:
            lost.remove(video)
            self.claimed.add(video.id)
        return video
