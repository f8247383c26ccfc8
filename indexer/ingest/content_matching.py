"""Recognising the videos of a library by their content, wherever they are now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.catalog.reader import Catalog
from indexer.catalog.records import FileState, Video
from indexer.disk.presence import is_gone


class ContentFinder:
    """Tells which files hold a video that the library knows.

    known  the videos at the places that are indexed
    """

    def __init__(self, known: Sequence[Video], catalog: Catalog) -> None:
        self._by_path = {video.path: video for video in known}
        self._catalog = catalog
        self._missing: dict[int, list[Video]] = {}
        self.claimed: set[int] = set()

    @cached_property
    def _sizes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return self._catalog.video_sizes()

    def _lost(self, size: int) -> list[Video]:
        """The videos of so many bytes whose files have gone, less those that were claimed."""
        if size not in self._missing:
            sizes, ids = self._sizes
            own = ids[np.searchsorted(sizes, size) : np.searchsorted(sizes, size, "right")].tolist()
            self._missing[size] = [video for video in self._catalog.videos(own) if is_gone(video.path)]
        return self._missing[size]

    def at(self, path: Path) -> Video | None:
        """The video that the library has at a path, whatever is there now."""
        return self._by_path.get(path)

    def candidates(self, file: FileState) -> list[Video]:
        """The videos that a file may hold, by its size: the one at its path, and those whose own files have gone."""
        here = self._by_path.get(file.path)
        found = [here] if here is not None and here.size == file.size else []
        return found + self._lost(file.size)

    def claim(self, file: FileState, fits: Callable[[Video], bool] = lambda video: True) -> Video | None:
        """The first of the candidates with the content of `file` that fits. One whose own file has gone is given once.

        Two copies of a moved video may both have been taken for it, by machines that do not know of each other.
        """
        video = next((each for each in self.candidates(file) if each.sha256 == file.sha256 and fits(each)), None)
        lost = self._lost(file.size)
        if video is not None and video in lost:
            lost.remove(video)
            self.claimed.add(video.id)
        return video
