"""A segment: the vectors of some items at every level, written once, memory-mapped, read-only.

ids.npy            int64 (n,), ascending
present.npy        bool (n, L): whether an item has a level at all (its row is not zero)
LEVEL.faiss        IndexFlatIP of dimension d_l, rows in the order of ids.npy: the vectors
LEVEL.half.npy     float16 (n, d_l): the same rows times a power of two, for the scan
LEVEL.lists.faiss  inverted lists over the same rows (`indexer.lists`); only in large segments
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from indexer.durable import write_array, write_index
from model.errors import LibraryError
from model.levels import FloatArray, LevelSpec

Half = npt.NDArray[np.float16]

_BLOCK = 1 << 16
"""Rows converted at a time."""


@dataclass(frozen=True)
class Bounds:
    """What a search must know of one level's rows to bound its own rounding.

    norm      the largest L2 norm of a row
    exponent  half-precision rows hold the row times 2**exponent
    residual  the largest L2 distance between a row and its half-precision copy (scaled back)
    """

    norm: float
    exponent: int
    residual: float


class Segment:
    """The files of a segment, opened. Safe to read from many threads."""

    def __init__(
        self,
        folder: Path,
        ids: npt.NDArray[np.int64],
        present: npt.NDArray[np.bool_],
        raw: Mapping[str, Any],
        half: Mapping[str, Half],
        lists: Mapping[str, Any],
        bounds: Mapping[str, Bounds],
    ) -> None:
        self.folder = folder
        self.ids = ids
        self.present = present
        self.half = dict(half)
        self.lists = dict(lists)
        self.bounds = dict(bounds)
        self._raw = dict(raw)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """A copy of the stored vectors of one level at row numbers: (len(positions), d_l) float32."""
        import faiss

        index = self._raw[level]
        if not index.ntotal:
            return np.zeros((0, index.d), dtype=np.float32)
        # A FAISS file's header leaves the mapped rows unaligned; as bytes they are copied row by row.
        mapped = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).view(np.uint8)
        return mapped.reshape(index.ntotal, 4 * index.d)[positions].view(np.float32)


def open_segment(folder: Path, levels: Sequence[LevelSpec], bounds: Mapping[str, Bounds]) -> Segment:
    """Map a segment into memory. Raises LibraryError if its files do not fit each other."""
    import faiss

    flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
    try:
        ids = np.load(folder / "ids.npy")
        present = np.load(folder / "present.npy")
        raw = {spec.name: faiss.read_index(str(folder / f"{spec.name}.faiss"), flags) for spec in levels}
        # NumPy cannot map an array without elements.
        mode: Literal["c"] | None = "c" if len(ids) else None
        half = {spec.name: np.load(folder / f"{spec.name}.half.npy", mmap_mode=mode) for spec in levels}
        paths = {spec.name: folder / f"{spec.name}.lists.faiss" for spec in levels}
        lists = {name: faiss.read_index(str(path), flags) for name, path in paths.items() if path.exists()}
    except (OSError, ValueError, RuntimeError) as error:
        raise LibraryError(f"The vectors in {folder} cannot be opened: {error}") from error
    fits = all((raw[s.name].ntotal, raw[s.name].d) == half[s.name].shape == (len(ids), s.dim) for s in levels)
    if not fits or present.shape != (len(ids), len(levels)):
        raise LibraryError(f"The files in {folder} disagree on the number or the size of the vectors.")
    return Segment(folder, ids, present, raw, half, lists, bounds)


def write_segment(
    folder: Path, levels: Sequence[LevelSpec], ids: npt.NDArray[np.int64], vectors: Mapping[str, FloatArray]
) -> dict[str, Bounds]:
    """Write the vectors of a segment; returns the bounds of every level. `ids` ascend, each once.

    Raises LibraryError if a vector holds NaN or infinity: it would poison every search.
    """
    import faiss

    folder.mkdir(parents=True)
    present = np.zeros((len(ids), len(levels)), dtype=np.bool_)
    bounds = {}
    for column, spec in enumerate(levels):
        rows = np.ascontiguousarray(vectors[spec.name], dtype=np.float32)
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
        if not np.isfinite(norms).all():
            bad = int(ids[~np.isfinite(norms)][0])
            raise LibraryError(f"The {spec.name} vector of item {bad} is not finite. The model is at fault.")
        present[:, column] = rows.any(axis=1)
        index = faiss.IndexFlatIP(spec.dim)
        index.add(rows)
        write_index(index, folder / f"{spec.name}.faiss")
        del index
        bounds[spec.name] = _write_half(folder / f"{spec.name}.half.npy", rows, float(norms.max(initial=0.0)))
    write_array(ids, folder / "ids.npy")
    write_array(present, folder / "present.npy")
    return bounds


def link_segment(old: Path, new: Path) -> None:
    """Give the files of a segment, which never change, a second name; copy where the file system has no links."""
    new.mkdir(parents=True)
    for path in old.iterdir():
        try:
            (new / path.name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, new / path.name)


def _write_half(path: Path, rows: FloatArray, norm: float) -> Bounds:
    """Write rows as float16 and measure what that loses.

    Scaled by a power of two (which rounds nothing) so that the largest norm lies in [1/2, 1): the smallest
    numbers then lose little below float16's normal range, and no product of two rows overflows.
    """
    exponent = -int(np.frexp(norm)[1]) if norm else 0
    largest = 0.0
    # Not a memory map: writing to one on a full disk kills the process (SIGBUS).
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**header, "shape": rows.shape})
        for start in range(0, len(rows), _BLOCK):
            block = np.ldexp(rows[start : start + _BLOCK].astype(np.float64), exponent)
            half = block.astype(np.float16)
            file.write(half.tobytes())
            lost = block - half
            largest = max(largest, float(np.sqrt(np.einsum("nd,nd->n", lost, lost)).max()))
    # One part in 2**40 covers the rounding of the measurement itself.
    return Bounds(norm * (1 + 2**-40), exponent, float(np.ldexp(largest * (1 + 2**-40), -exponent)))
