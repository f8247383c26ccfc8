"""Items with vectors that are read a block at a time, when they are written: from arrays, a gallery or a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.levels import FRAMES, FrameSpec, LevelSpec

Ids = npt.NDArray[np.int64]

Columns = Mapping[str, npt.NDArray[Any]]
"""Vectors of items: of every level (float32) and, where they are kept, of single frames (float16)."""

Rows = tuple[Ids, Columns]
"""Ascending ids and their vectors."""

BLOCK = 1 << 14
"""Rows that are read at a time, at all levels: 67 MB of four levels of 256 numbers."""


@dataclass(frozen=True)
class RowSource:
    """ids: int64, ascending. read: the vectors of some of them (ascending), (n, d) each."""

    ids: Ids
    read: Callable[[Ids], Columns]

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, ids: Ids) -> RowSource:
        """Some of the items."""
        return RowSource(ids, self.read)

    def blocks(self) -> Iterator[Rows]:
        """All items, `BLOCK` at a time."""
        for start in range(0, len(self.ids), BLOCK):
            ids = self.ids[start : start + BLOCK]
            yield ids, self.read(ids)


def from_arrays(ids: Ids, vectors: Columns) -> RowSource:
    """Of arrays whose rows are in the order of `ids`."""

    def read(wanted: Ids) -> Columns:
        places = np.searchsorted(ids, wanted)
        return {name: rows[places] for name, rows in vectors.items()}

    return RowSource(ids, read)


def from_parts(parts: Sequence[Rows], nothing: Rows) -> RowSource:
    """Of arrays, mapped ones say, whose ids ascend through the parts. nothing: rows without items, for widths."""
    ids = np.concatenate([nothing[0], *(own for own, _ in parts)])
    starts = np.cumsum([0, *(len(own) for own, _ in parts)])

    def read(wanted: Ids) -> Columns:
        places = np.searchsorted(ids, wanted)
        owners = np.searchsorted(starts, places, side="right") - 1
        found = {name: np.empty((len(wanted), rows.shape[1]), rows.dtype) for name, rows in nothing[1].items()}
        for number in np.unique(owners):
            mine = owners == number
            for name, rows in found.items():
                rows[mine] = parts[number][1][name][places[mine] - starts[number]]
        return found

    return RowSource(ids, read)


def empty_rows(levels: Sequence[LevelSpec], frames: FrameSpec | None = None) -> Rows:
    """No items, of the widths of `levels` and `frames`."""
    vectors: dict[str, npt.NDArray[Any]] = {level.name: np.zeros((0, level.dim), np.float32) for level in levels}
    if frames is not None:
        vectors[FRAMES] = np.zeros((0, frames.width), np.float16)
    return np.zeros(0, np.int64), vectors


def merged(one: Ids, other: Ids) -> Ids:
    """The ids of both, which have none in common, ascending."""
    return np.sort(np.concatenate([one, other]), kind="stable")  # of two runs in order that is a merge


def joined(one: RowSource, other: RowSource) -> RowSource:
    """The items of both, which have none in common."""

    def read(wanted: Ids) -> Columns:
        second = np.isin(wanted, other.ids, assume_unique=True)
        if not second.any():
            return one.read(wanted)
        if second.all():
            return other.read(wanted)
        found = {}
        parts = one.read(wanted[~second]), other.read(wanted[second])
        for name, rows in parts[0].items():
            found[name] = np.empty((len(wanted), rows.shape[1]), rows.dtype)
            found[name][~second], found[name][second] = rows, parts[1][name]
        return found

    return RowSource(merged(one.ids, other.ids), read)
