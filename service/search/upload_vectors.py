"""Uploads to search with, as vectors: the files themselves are not kept."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable

from model.levels import Vectors

MAX_UPLOADS = 512
"""Uploads that are kept, the latest used; with four levels of 256 numbers 4 kB each."""


class UploadedVectors:
    """Gallery vectors by the ids of their uploads. Safe to use from many threads."""

    def __init__(self, most: int = MAX_UPLOADS) -> None:
        self._most = most
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, vectors: Vectors) -> str:
        """The id of a new upload."""
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[name] = vectors
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return name

    def known(self, names: Iterable[str]) -> dict[str, Vectors]:
        """Those of the uploads that are kept."""
        with self._lock:
            found = {name: self._kept[name] for name in names if name in self._kept}
            for name in found:
                self._kept.move_to_end(name)
        return found
