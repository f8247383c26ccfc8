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
    """The parts of one segment, and per level some of its rows, taken from their 8-bit codes."""

    def __init__(self, segment: Segment, levels: Sequence[LevelSpec]) -> None:
        codes = [codes_of(segment.pq[spec.name]) for spec in levels]
        kinds, kind = np.unique(segment.present, axis=0, return_inverse=True)
        self.parts: list[Part] = []
        for number, pattern in enumerate(kinds):
            columns = tuple(np.flatnonzero(pattern).tolist())
            if not columns:
                continue
            rows = np.flatnonzero(kind.reshape(-1) == number)
            tables = tables_of([segment.pq[levels[column].name] for column in columns])
            for start in range(0, len(rows), _PART):
                own = rows[start : start + _PART]
                side_by_side = np.concatenate([codes[column][own] for column in columns], axis=1)
                self.parts.append(Part(columns, tables, own, fast_scan_index(tables, side_by_side)))
        self._segment, self._levels = segment, levels
        self._samples: dict[int, FloatArray] = {}

    def sample(self, column: int) -> FloatArray:
        """Evenly spread rows that have the level: (n, d_l) float32, n at most 2,048."""
        if column not in self._samples:
            name, rows = self._levels[column].name, np.flatnonzero(self._segment.present[:, column])
            some = rows[:: -(-len(rows) // _SAMPLE) or 1]
            scales = self._segment.code_scales(name, some)
            self._samples[column] = self._segment.coded_rows(name, some) * scales[:, None]
        return self._samples[column]


_open: WeakValueDictionary[tuple[tuple[int, int], ...], JointCodes] = WeakValueDictionary()
"""Those that some gallery of this process has, by the files that they come from: a generation mostly keeps the segments
of the previous one, which are not read and arranged once more."""


def joint_codes(segment: Segment, levels: Sequence[LevelSpec]) -> JointCodes:
    """Of a segment that has 4-bit codes; the same object for every segment that is made of the same files."""
    key = tuple(file for spec in levels for file in (segment.file_id(spec.name), segment.product_codes_id(spec.name)))
    known = _open.get(key)
    if known is None:
        known = _open[key] = JointCodes(segment, levels)
    return known
