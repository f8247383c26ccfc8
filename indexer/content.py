"""Recognising the videos of a library by their content, wherever they lie now."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from indexer.catalog import Video
from indexer.catalog_writer import FileState


class ContentFinder:
    """Tells which files hold a video that the library knows. Safe to ask from many threads."""

    def __init__(self, known: Sequence[Video]) -> None:
        self._by_path = {video.path: video for video in known}
        self._missing: dict[tuple[int, str], list[Video]] = {}
        for video in known:
            if not video.path.exists():
                self._missing.setdefault((video.size, video.sha256), []).append(video)
        self._lock = threading.Lock()
        self.claimed: set[int] = set()

    def at(self, path: Path) -> Video | None:
        """The video that the library has at a path, whatever lies there now."""
        return self._by_path.get(path)

    def claim(self, file: FileState) -> Video | None:
        """The video with the content of `file` at its path, or whose own file has gone; each once."""
        content = (file.size, file.sha256)
        here = self._by_path.get(file.path)
        if here is not None and (here.size, here.sha256) == content:
            return here
        with self._lock:
            candidates = self._missing.get(content)
            if not candidates:
                return None
            video = candidates.pop()
            self.claimed.add(video.id)
            return video
