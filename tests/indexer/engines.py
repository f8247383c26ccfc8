"""Galleries in every engine that answers questions, for tests that each of them has to pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.milvus.address import connect, parse_address
from indexer.milvus.collections import level_collection
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.gallery_upload import copy_gallery, drop
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.search.remote_gallery import AnyGallery
from indexer.search.vectors.gallery import Change, Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import LevelSpec, Vectors


def make_gallery(folder: Path, specs: Sequence[LevelSpec], ids: Sequence[int], vectors: Vectors) -> Gallery:
    bounds = write_gallery(folder / "gallery", specs, Change([from_arrays(np.array(ids, dtype=np.int64), vectors)]))
    return open_gallery(folder / "gallery", specs, bounds)


@dataclass(frozen=True)
class Engine:
    """`make` puts a gallery into it; `scans`: whether every answer has looked at every item."""

    name: str
    make: Callable[[Path, Sequence[LevelSpec], Sequence[int], Vectors], AnyGallery]
    scans: bool


FILES = Engine("files", make_gallery, scans=True)


class MilvusGalleries:
    """Galleries in a Milvus, for tests. The last one that was made is the only one."""

    def __init__(self, address: str) -> None:
        self.address = parse_address(address)
        self.client = connect(self.address, make=True)
        self._numbers = itertools.count()
        self._last: tuple[str, Gallery] | None = None

    def copy(self, gallery: Gallery, approximate_from: int = APPROXIMATE_FROM, **options: Any) -> MilvusGallery:
        self._drop()
        name = f"gallery_{next(self._numbers)}"
        self._last = name, gallery
        facts = copy_gallery(self.client, self.address, name, gallery, approximate_from, **options)
        return MilvusGallery(self.client, self.address, name, gallery.levels, facts)

    def make(self, folder: Path, specs: Sequence[LevelSpec], ids: Sequence[int], vectors: Vectors) -> MilvusGallery:
        return self.copy(make_gallery(folder, specs, ids, vectors))

    def _drop(self) -> None:
        if self._last is not None:
            name, gallery = self._last
            for spec in gallery.levels:
                drop(self.client, level_collection(name, spec.name))

    def close(self) -> None:
        self._drop()
        self.client.close()
