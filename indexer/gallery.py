"""The stored vectors of one side (clips or captions) of a generation: written once, memory-mapped, read-only.

ids.npy          int64 (n,), ascending
present.npy      bool (n, L): whether an item has a level at all (its row is not zero)
LEVEL.faiss      one IndexFlatIP of dimension d_l per level, rows in the order of ids.npy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import LibraryError, NotFoundError
from model.levels import FloatArray, LevelSpec, Vectors


class Gallery:
    """Vectors of n items at L levels, in ascending order of their ids. Safe to read from many threads."""

    def __init__(
        self,
        levels: Sequence[LevelSpec],
        ids: npt.NDArray[np.int64],
        present: npt.NDArray[np.bool_],
        indices: Mapping[str, Any],
        max_norms: Mapping[str, float],
    ) -> None:
        self.levels = tuple(levels)
        self.ids = ids
        self.present = present
        self.max_norms = dict(max_norms)
        self._indices = dict(indices)

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of the given ids. Raises NotFoundError for an id that is not in this gallery."""
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        rows = np.searchsorted(self.ids, wanted)
        inside = rows < len(self.ids)
        missing = wanted[~inside].tolist() or wanted[self.ids[rows] != wanted].tolist()
        if missing:
            raise NotFoundError(f"There is no item {missing[0]} in this generation of the library.")
        return rows.astype(np.int64)

    def rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """A copy of the stored vectors of one level at row numbers: (len(positions), d_l) float32."""
        return self._stored(level)[positions]

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        """A copy of the stored vectors of items, all levels. Raises NotFoundError for an unknown id."""
        positions = self.positions(ids)
        return {spec.name: self.rows(spec.name, positions) for spec in self.levels}

    def inner_products(self, level: str, query: FloatArray) -> FloatArray:
        """Inner products of every stored row of a level with one query row (d_l,): (n,) float32."""
        import faiss

        # Not a NumPy product: a FAISS file's header leaves the mapped rows unaligned, and NumPy would copy
        # them all first. This loop also rounds a row in the same way wherever it stands.
        out = np.zeros(len(self), dtype=np.float32)
        if len(self):
            index = self._indices[level]
            query = np.ascontiguousarray(query, dtype=np.float32)
            faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]
                faiss.swig_ptr(out), faiss.swig_ptr(query), index.get_xb(), index.d, index.ntotal
            )
        return out

    def _stored(self, level: str) -> FloatArray:
        """A view of the mapped rows. It must not outlive `self`, so only copies of it leave this class."""
        import faiss

        index = self._indices[level]
        if not index.ntotal:
            return np.zeros((0, index.d), dtype=np.float32)
        return faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)


def open_gallery(folder: Path, levels: Sequence[LevelSpec], max_norms: Mapping[str, float]) -> Gallery:
    """Map a gallery into memory. Raises LibraryError if its files do not fit each other."""
    import faiss

    try:
        ids = np.load(folder / "ids.npy")
        present = np.load(folder / "present.npy")
        flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
        indices = {spec.name: faiss.read_index(str(folder / f"{spec.name}.faiss"), flags) for spec in levels}
    except (OSError, ValueError, RuntimeError) as error:
        raise LibraryError(f"The vectors in {folder} cannot be opened: {error}") from error
    shapes = {(index.ntotal, index.d) for index in indices.values()}
    expected = {(len(ids), spec.dim) for spec in levels}
    if shapes != expected or present.shape != (len(ids), len(levels)):
        raise LibraryError(f"The files in {folder} disagree on the number or the size of the vectors.")
    return Gallery(levels, ids, present, indices, max_norms)


def write_gallery(
    folder: Path, levels: Sequence[LevelSpec], ids: npt.NDArray[np.int64], vectors: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Write a gallery; returns the largest row norm of every level. `ids` ascend, each once.

    Raises LibraryError if a vector holds NaN or infinity: it would poison every search.
    """
    import faiss

    folder.mkdir(parents=True)
    present = np.zeros((len(ids), len(levels)), dtype=np.bool_)
    max_norms = {}
    for column, spec in enumerate(levels):
        rows = vectors[spec.name]
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
        if not np.isfinite(norms).all():
            bad = int(ids[~np.isfinite(norms)][0])
            raise LibraryError(f"The {spec.name} vector of item {bad} is not finite. The model is at fault.")
        present[:, column] = rows.any(axis=1)
        max_norms[spec.name] = float(norms.max(initial=0.0))
        index = faiss.IndexFlatIP(spec.dim)
        index.add(rows)
        faiss.write_index(index, str(folder / f"{spec.name}.faiss"))
    np.save(folder / "ids.npy", ids)
    np.save(folder / "present.npy", present)
    return max_norms
