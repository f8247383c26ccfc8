"""One side (clips or captions) of a generation: its segments, less the items that have left it.

0000/, 0001/, ...  segments (`indexer.search.vectors.segment`); ids ascend through them
removed.npy        int64, ascending: items that a segment still holds but this generation does not
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.disk.durable_files import write_array
from indexer.search.vectors.codes import Bounds
from indexer.search.vectors.compact_rows import Resident, make_resident
from indexer.search.vectors.joint_codes import JointCodes, joint_codes
from indexer.search.vectors.row_source import RowSource
from indexer.search.vectors.segment import Segment, link_segment, open_segment, write_segment
from model.levels import FRAMES, FloatArray, FrameSpec, LevelSpec, Vectors
from quartet.errors import LibraryError, NotFoundError

REMOVED_FILE = "removed.npy"

SegmentBounds = dict[str, Bounds]


@dataclass(frozen=True)
class Change:
    """What to write.

    segments  in the order of their ids: kept as they are, or items for a new one. At least one
    removed   ids, ascending, that a kept segment holds and the gallery does not
    before    the gallery whose codebooks hold for this one; None: they are learned
    added     items that `before` lacked
    """

    segments: Sequence[Segment | RowSource]
    removed: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    before: Gallery | None = None
    added: RowSource | None = None

    @property
    def count(self) -> int:
        """Items that the written gallery will have."""
        return sum(map(len, self.segments)) - len(self.removed)


class Gallery:
    """Vectors of n items at L levels, in ascending order of their ids. Safe to read from many threads.

    A *row* is a place in the segments, counted through them; rows of removed items are in no answer.

    ids          int64 (n,), ascending, without the removed
    row_ids      int64 (N,): the id of every row, removed ones too
    alive        bool (N,), or None where no row is removed
    patterns     bool (P, L): the distinct combinations of levels that rows have
    complete     bool (L,): whether every row has the level
    bounds       {level: Bounds} of all rows together
    device       torch device wanted for the exhaustive scan; a GPU without room for it leaves it to the CPU
    encoding     how its 4-bit codes came about (`approximate.encoding`), empty where it has none
    frames       what it keeps of single frames, if anything
    """

    def __init__(
        self,
        levels: Sequence[LevelSpec],
        segments: Sequence[Segment],
        removed: npt.NDArray[np.int64],
        encoding: Mapping[str, Any] | None = None,
        device: str = "cpu",
        frames: FrameSpec | None = None,
    ) -> None:
        self.levels = tuple(levels)
        self.frames = frames
        self.segments = tuple(segments)
        self.removed = removed
        self.encoding = dict(encoding or {})
        self.device = device
        self.row_ids = np.concatenate([np.zeros(0, np.int64), *(segment.ids for segment in segments)])
        self.starts = np.cumsum([0, *(len(segment) for segment in segments)])
        self.alive = ~np.isin(self.row_ids, removed, assume_unique=True) if len(removed) else None
        self.ids = self.row_ids if self.alive is None else self.row_ids[self.alive]
        self.present = np.concatenate([np.zeros((0, len(levels)), np.bool_), *(s.present for s in segments)])
        codes = _distinct(np.packbits(self.present, axis=1))
        self.patterns = np.unpackbits(codes, axis=1, count=len(levels)).astype(np.bool_)
        self.complete: npt.NDArray[np.bool_] = np.asarray(self.patterns.all(axis=0))
        self.bounds = {spec.name: Bounds.over([segment.bounds[spec.name] for segment in segments]) for spec in levels}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item: int) -> bool:
        place = int(np.searchsorted(self.ids, item))
        return place < len(self.ids) and int(self.ids[place]) == item

    @cached_property
    def resident(self) -> Resident:
        """Compact rows for the scan, on `device`. The same for every reader, made when first needed."""
        return make_resident(self.segments, self.device)

    @cached_property
    def joint_codes(self) -> list[tuple[int, JointCodes]]:
        """The 4-bit rows, each with its first row; only where there is an `encoding`. Made when first needed."""
        return joint_codes([segment for segment in self.segments if len(segment)], self.levels)

    def positions(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of the given ids. Raises NotFoundError for an id that is not in this gallery."""
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        rows = np.searchsorted(self.row_ids, wanted)
        found = rows < len(self.row_ids)
        found[found] = self.row_ids[rows[found]] == wanted[found]
        if self.alive is not None:
            found[found] = self.alive[rows[found]]
        if not found.all():
            raise NotFoundError(f"There is no item {wanted[~found][0]} in this generation of the library.")
        return rows.astype(np.int64)

    def select(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows, ascending, of those of the given ids that are in this gallery."""
        rows = np.searchsorted(self.row_ids, np.unique(ids))
        rows = rows[rows < len(self.row_ids)]
        rows = rows[np.isin(self.row_ids[rows], ids)]
        return rows if self.alive is None else rows[self.alive[rows]]

    def rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """A copy of the stored vectors of one level at rows: (len(positions), d_l) float32."""
        return self._gather(level, positions, Segment.rows)

    def frame_rows(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        """A copy of the vectors of single frames at rows, zeros past the last frame: (len(positions), count, dim)."""
        kept = self.frames
        if kept is None:
            raise ValueError("this gallery keeps no vectors of frames")
        if len(self.segments) == 1 and (only := self.segments[0].frames) is not None:
            return only[positions]
        out = np.empty((len(positions), kept.count, kept.dim), np.float16)
        owner = np.searchsorted(self.starts, positions, side="right") - 1
        for number in np.unique(owner):
            frames = self.segments[number].frames
            assert frames is not None
            mine = owner == number
            out[mine] = frames[positions[mine] - self.starts[number]]
        return out

    def column(self, name: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """A copy of what is stored of rows at a level, or of their frames, as in `Rows`."""
        if name != FRAMES:
            return self.rows(name, positions)
        frames = self.frame_rows(positions)
        return frames.reshape(len(frames), frames.shape[1] * frames.shape[2])

    def source(self) -> RowSource:
        """All items, to be written again."""
        names = [*(spec.name for spec in self.levels), *([] if self.frames is None else [FRAMES])]

        def read(wanted: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
            positions = self.positions(wanted)
            return {name: self.column(name, positions) for name in names}

        return RowSource(self.ids, read)

    def coded_rows(self, level: str, positions: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """The 8-bit codes of one level at rows, as float32 (len(positions), d_l), and their scales."""
        return self._gather(level, positions, Segment.coded_rows), self._gather(level, positions, Segment.code_scales)

    def _gather(
        self,
        level: str,
        positions: npt.NDArray[np.int64],
        read: Callable[[Segment, str, npt.NDArray[np.int64]], FloatArray],
    ) -> FloatArray:
        if len(self.segments) == 1:
            return read(self.segments[0], level, positions)
        shape = read(self.segments[0], level, positions[:0]).shape[1:]
        out = np.empty((len(positions), *shape), dtype=np.float32)
        owner = np.searchsorted(self.starts, positions, side="right") - 1
        for number in np.unique(owner):
            mine = owner == number
            out[mine] = read(self.segments[number], level, positions[mine] - self.starts[number])
        return out

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        """A copy of the stored vectors of items, all levels. Raises NotFoundError for an unknown id."""
        positions = self.positions(ids)
        return {spec.name: self.rows(spec.name, positions) for spec in self.levels}

    def parts(self) -> Iterator[tuple[int, int, Segment]]:
        """(number, first row, segment) of every segment that holds anything."""
        return ((i, int(self.starts[i]), segment) for i, segment in enumerate(self.segments) if len(segment))


def open_gallery(
    folder: Path,
    levels: Sequence[LevelSpec],
    bounds: Sequence[SegmentBounds],
    encoding: Mapping[str, Any] | None = None,
    device: str = "cpu",
    frames: FrameSpec | None = None,
) -> Gallery:
    """Map a gallery into memory. Raises LibraryError if its files do not fit each other."""
    segments = [open_segment(folder / segment_name(i), levels, own, frames) for i, own in enumerate(bounds)]
    try:
        removed = np.load(folder / REMOVED_FILE)
    except (OSError, ValueError) as error:
        raise LibraryError(f"The vectors in {folder} cannot be opened: {error}") from error
    gallery = Gallery(levels, segments, removed, encoding, device, frames)
    if (np.diff(gallery.row_ids) <= 0).any():
        raise LibraryError(f"The files in {folder} disagree on the order of their items.")
    return gallery


def write_gallery(
    folder: Path,
    levels: Sequence[LevelSpec],
    change: Change,
    product_codes: bool = False,
    frames: FrameSpec | None = None,
) -> list[SegmentBounds]:
    """Write a gallery; returns the bounds of every segment. Kept ones keep their 4-bit rows with `product_codes`.

    frames  what it keeps of single frames, if anything

    Raises NotFiniteError if a vector holds NaN or infinity.
    """
    bounds: list[SegmentBounds] = []
    for number, part in enumerate(change.segments):
        if isinstance(part, Segment):
            link_segment(part.folder, folder / segment_name(number), product_codes)
            bounds.append(part.bounds)
        else:
            bounds.append(write_segment(folder / segment_name(number), levels, part, frames))
    write_array(change.removed, folder / REMOVED_FILE)
    return bounds


def _distinct(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The different rows of (N, bytes), ascending. Those of one byte are counted: sorting a million takes 0.7 s."""
    if rows.shape[1] != 1:
        return np.unique(rows, axis=0)
    return np.flatnonzero(np.bincount(rows[:, 0])).astype(np.uint8)[:, np.newaxis]


def segment_name(number: int) -> str:
    return f"{number:04d}"
