"""What the fast scan reads: 4-bit rows, levels side by side, in a FAISS `IndexPQFastScan` per presence pattern.

An item scores the weighted mean of the levels that it has. Rows that have the same levels can therefore be compared by
one inner product with one query, whatever the weights are, and rows that have others by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from indexer.search.vectors.product_codes import Tables, codes_of, fast_scan_index, tables_of
from indexer.search.vectors.segment import Segment
from model.levels import FloatArray, LevelSpec

_PART = 1 << 16
"""Rows of an index: several are searched at once, by a thread each."""

_LARGE, _GROUP = 1 << 15, 1 << 18
"""Segments of so many rows are searched together, until they have so many."""

_SAMPLE = 2048
"""Rows that show where the inner products of a level are."""


@dataclass(frozen=True)
class Part:
    """Rows of a segment that have the same levels.

    columns  the levels that they have; tables: of these
    rows     int64 (n,): their row numbers in the segment
    index    of these rows, the levels side by side
    """

    columns: tuple[int, ...]
    tables: Tables
    rows: npt.NDArray[np.int64]
    index: Any


class JointCodes:
    """The parts of segments that follow each other, and per level some of their rows, taken from their 8-bit codes."""

    def __init__(self, segments: Sequence[Segment], levels: Sequence[LevelSpec]) -> None:
        codes = [_joined([codes_of(segment.pq[spec.name]) for segment in segments]) for spec in levels]
        kinds, kind = np.unique(_joined([segment.present for segment in segments]), axis=0, return_inverse=True)
        self.parts: list[Part] = []
        for number, pattern in enumerate(kinds):
            columns = tuple(np.flatnonzero(pattern).tolist())
            if not columns:
                continue
            rows = np.flatnonzero(kind.reshape(-1) == number)
            tables = tables_of([segments[0].pq[levels[column].name] for column in columns])
            for start in range(0, len(rows), _PART):
                own = rows[start : start + _PART]
                side_by_side = np.concatenate([codes[column][own] for column in columns], axis=1)
                self.parts.append(Part(columns, tables, own, fast_scan_index(tables, side_by_side)))
        self._segments, self._levels = segments, levels
        self._samples: dict[int, FloatArray] = {}

    def sample(self, column: int) -> FloatArray:
        """Evenly spread rows that have the level: (n, d_l) float32, n at most 2,048."""
        if column not in self._samples:
            name, found = self._levels[column].name, []
            step = -(-sum(int(segment.present[:, column].sum()) for segment in self._segments) // _SAMPLE) or 1
            for segment in self._segments:
                some = np.flatnonzero(segment.present[:, column])[::step]
                found.append(segment.coded_rows(name, some) * segment.code_scales(name, some)[:, None])
            self._samples[column] = _joined(found)
        return self._samples[column]


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


_open: WeakValueDictionary[tuple[tuple[int, int], ...], JointCodes] = WeakValueDictionary()
"""Those that some gallery of this process has, by the files that they come from: a generation mostly keeps the segments
of the previous one, which are not read and arranged once more."""


def joint_codes(segments: Sequence[Segment], levels: Sequence[LevelSpec]) -> list[tuple[int, JointCodes]]:
    """Of segments that have 4-bit codes, with the first row of each; the same object for all that is made of the same
    files.

    Large neighbours are searched as one, since every part of its own costs a search a quarter of a millisecond.
    """
    groups: list[list[Segment]] = []
    for segment in segments:
        last = groups[-1] if groups else []
        if last and min(map(len, (segment, *last))) >= _LARGE and sum(map(len, last)) < _GROUP:
            last.append(segment)
        else:
            groups.append([segment])
    starts = np.cumsum([0, *(sum(map(len, group)) for group in groups)]).tolist()
    return [(start, _codes_of_group(group, levels)) for start, group in zip(starts, groups, strict=False)]


def _codes_of_group(segments: Sequence[Segment], levels: Sequence[LevelSpec]) -> JointCodes:
    files = (Segment.file_id, Segment.product_codes_id)
    key = tuple(of(segment, spec.name) for segment in segments for spec in levels for of in files)
    known = _open.get(key)
    if known is None:
        known = _open[key] = JointCodes(segments, levels)
    return known
