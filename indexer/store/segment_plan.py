"""Which segments a gallery has next: most are kept, small ones grow together.

A segment never changes, so a new item is written in a new one. Neighbours that are small are then written together, in
tiers: an item is written about as often as the gallery has grown fourfold since, and not at every publication. Ids
ascend through the segments, so only neighbours can join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from indexer.search.vectors.gallery import Change, Gallery
from indexer.search.vectors.row_source import Ids, RowSource, joined, merged
from indexer.search.vectors.segment import Segment

_SMALL = 10_000
"""Rows that are quickly written: of a smaller segment nothing that was removed stays, and it joins the next one."""

_MAX_NEW_ROWS = 1 << 16
"""Rows of a new segment in a gallery of up to `_MAX_SEGMENTS / 2` times as many: 350 MB of four levels of 256."""

_MAX_SEGMENTS = 48
"""Segments: each costs a search some time, and a process some open files."""

_TIER = 4
"""A segment joins the next one if it has less than so many times its rows."""

_REMOVED = 10
"""A segment is written again when one row in so many is of an item that has gone."""


@dataclass(frozen=True)
class _Piece:
    """Items that follow each other. segment: the one that has them already and is kept; None: they are written."""

    ids: Ids
    segment: Segment | None = None


def plan_segments(ids: Ids, old: Gallery, staged: RowSource, erases: bool = False) -> Change:
    """How to come from a gallery to the items `ids` (ascending).

    staged  items that `old` lacks
    erases  no file may have the rows of other items
    """
    largest = max(_MAX_NEW_ROWS, 2 * -(-len(ids) // _MAX_SEGMENTS))
    pieces: list[_Piece] = []
    for piece in _pieces(ids, old, staged.ids, erases):
        new = piece
        while pieces and _joins(pieces[-1], new, largest // 2):
            new = _join(pieces.pop(), new)
        pieces.append(new)
    while len(pieces) > _MAX_SEGMENTS:
        sizes = [len(piece.ids) for piece in pieces]
        first = int(np.argmin(np.add(sizes[:-1], sizes[1:])))
        pieces[first : first + 2] = [_join(*pieces[first : first + 2])]

    rows = joined(old.source(), staged)
    segments: list[Segment | RowSource] = []
    for piece in pieces:
        if piece.segment is not None:
            segments.append(piece.segment)
        else:
            segments += [rows.only(part) for part in np.array_split(piece.ids, -(-len(piece.ids) // largest))]
    kept = [np.setdiff1d(part.ids, ids, assume_unique=True) for part in segments if isinstance(part, Segment)]
    removed = np.concatenate([np.zeros(0, np.int64), *kept])
    return Change(segments or [rows.only(ids)], removed, old, staged)


def whole(rows: RowSource) -> Change:
    """All items of a gallery, written for the first time."""
    parts = max(1, -(-len(rows) // max(_MAX_NEW_ROWS, 2 * -(-len(rows) // _MAX_SEGMENTS))))
    return Change([rows.only(part) for part in np.array_split(rows.ids, parts)])


def _pieces(ids: Ids, old: Gallery, fresh: Ids, erases: bool) -> Iterator[_Piece]:
    """The segments of a gallery, each with the fresh items that come before its last one; then the other fresh ones."""
    begin = 0
    held = np.setdiff1d(ids, fresh, assume_unique=True)
    for segment in old.segments:
        if not len(segment):
            continue
        # A text that was removed and has come again has its id again, which the segment may still have.
        end = int(np.searchsorted(fresh, segment.ids[-1], side="right"))
        left = segment.ids[np.isin(segment.ids, held, assume_unique=True)]
        removed = len(segment) - len(left)
        if begin == end and (not removed or not (erases or len(segment) < _SMALL or removed * _REMOVED > len(segment))):
            yield _Piece(left, segment)
        elif len(left) or begin < end:
            yield _Piece(merged(left, fresh[begin:end]))
        begin = end
    if begin < len(fresh):
        yield _Piece(fresh[begin:])


def _joins(left: _Piece, right: _Piece, half: int) -> bool:
    """Whether neighbours are written as one. Two that are kept are not: nothing has changed there."""
    if left.segment is not None and right.segment is not None:
        return False
    tier = min(_TIER * len(right.ids), half) if len(right.ids) < half else 0
    return len(left.ids) < max(_SMALL, tier)


def _join(left: _Piece, right: _Piece) -> _Piece:
    return _Piece(np.concatenate([left.ids, right.ids]))
