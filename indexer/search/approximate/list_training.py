"""Making inverted lists for a large segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.disk.durable_files import write_index
from indexer.search.approximate.inverted_lists import Tuning
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.segment import Segment
from model.levels import FloatArray, LevelSpec

_PER_LIST = 40
"""Rows per list that k-means is trained on: FAISS asks for 39 at least."""

_BLOCK = 1 << 16
"""Rows held in memory at a time."""

_SAMPLE = 10_000
"""Rows on which the fit of the lists is measured."""

_SEED = 20220914


@dataclass(frozen=True)
class ListSettings:
    """approximate_from: rows from which a gallery gets lists; recall: recall@10 to reach with them."""

    approximate_from: int = 200_000
    recall: float = 0.99


def make_lists(
    segment: Segment, levels: Sequence[LevelSpec], settings: ListSettings, old: Segment | None = None
) -> Tuning:
    """Write LEVEL.lists.faiss beside the other files of a segment; the way to search them is still untuned.

    old  an earlier segment: the centroids of its lists are used again, nothing is trained
    """
    nlist = list_count(len(segment))
    errors, fit = {}, {}
    for column, spec in enumerate(levels):
        rows = np.flatnonzero(segment.present[:, column])
        index = _trained_index(segment, spec, rows, nlist) if old is None else _without_rows(_path(old, spec))
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            index.add_with_ids(segment.rows(spec.name, block), block)
        errors[spec.name] = _code_error(index, segment, spec)
        fit[spec.name] = fit_of(index, segment.rows(spec.name, sample(rows, _SAMPLE)))
        write_index(index, _path(segment, spec))
    name = f"IVF{nlist},SQ8"
    return Tuning(name, nlist, len(segment), settings.recall, 0.0, 0, len(segment), errors, fit)


def list_count(rows: int) -> int:
    """About twice the square root of the number of rows, a power of two: 2048 for a million."""
    return max(1, 1 << int(np.round(np.log2(2 * np.sqrt(max(rows, 1))))))


def fit_of(index: Any, rows: FloatArray) -> float:
    """The mean cosine between rows and the centroids of the lists that they belong to; 1 for no rows."""
    if not len(rows):
        return 1.0
    _, lists = index.quantizer.search(rows, 1)
    near = index.quantizer.reconstruct_batch(lists[:, 0])
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(near, axis=1)
    return float(((rows * near).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)).mean())


def add_fit(tuning: Tuning, gallery: Gallery, rows: Mapping[str, FloatArray]) -> Tuning:
    """`tuning` with the fit of rows that are added to `gallery` taken into account."""
    count = len(next(iter(rows.values())))
    if not count:
        return tuning
    since = {}
    for spec in gallery.levels:
        own = rows[spec.name][rows[spec.name].any(axis=1)]
        fit = fit_of(gallery.segments[0].lists[spec.name], sample(own, _SAMPLE))
        since[spec.name] = (tuning.since.get(spec.name, 0.0) * tuning.later + fit * count) / (tuning.later + count)
    return replace(tuning, since=since, later=tuning.later + count)


def _trained_index(segment: Segment, spec: LevelSpec, rows: np.ndarray, nlist: int) -> Any:
    import faiss

    seen = segment.rows(spec.name, sample(rows, _PER_LIST * nlist))
    # Fewer rows than lists: every row is a centroid of its own.
    name = f"IVF{min(nlist, max(len(seen), 1))},SQ8"
    index: Any = faiss.index_factory(spec.dim, name, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.min_points_per_centroid = _SEED, 1
    index.train(seen if len(seen) else np.zeros((1, spec.dim), dtype=np.float32))
    return index


def _without_rows(path: Path) -> Any:
    """The index of a file without its rows. Read into memory, since what is mapped cannot be emptied."""
    import faiss

    index = faiss.read_index(str(path))
    index.reset()
    return index


def _path(segment: Segment, spec: LevelSpec) -> Path:
    return segment.folder / f"{spec.name}.lists.faiss"


def _code_error(index: Any, segment: Segment, spec: LevelSpec) -> float:
    """The largest L2 distance between a row and what its code stands for."""
    import faiss

    largest = 0.0
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            rows = faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy()
            codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size)
            decoded = index.sq.decode(codes.reshape(size, -1).copy())
            if index.by_residual:
                decoded = decoded + index.quantizer.reconstruct(number)
            lost = decoded.astype(np.float64) - segment.rows(spec.name, rows)
            largest = max(largest, float(np.sqrt((lost * lost).sum(axis=1)).max()))
    # The search sums in float32, in its own order; a thousandth covers that.
    return largest * 1.001 + 1e-6


def sample(rows: np.ndarray, size: int) -> np.ndarray:
    """`size` of `rows`, in their order; all, if there are no more."""
    if len(rows) <= size:
        return rows
    return rows[np.sort(np.random.default_rng(_SEED).choice(len(rows), size, replace=False))]
