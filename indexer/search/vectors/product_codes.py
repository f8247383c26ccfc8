"""4-bit rows: product quantisation (Jegou, Douze and Schmid, 2011) of one level, as a FAISS `IndexPQ`.

Every two neighbouring numbers of a row become one of 16 pairs, in 4 bits: a quarter of what 8-bit rows take. The pairs,
the codebook, are learned from some rows and hold for all that come later, so a new row is encoded and nothing else
changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.levels import FloatArray

Tables = FloatArray
"""float32 (D / 2, 16, 2): the 16 pairs of every two of D numbers."""

_ALIGNED = 4
"""Numbers of a byte: a level is filled up with zeros to a multiple of it, so that codes of levels fit side by side."""

_SEED = 20220914
_ITERATIONS = 10
_MIN_TRAINING_ROWS = 256
"""Rows that k-means is given at least: fewer are given several times."""


def train_codebook(dim: int, rows: FloatArray) -> Any:
    """An empty `IndexPQ` for rows of `dim` numbers, whose codebook fits `rows` (n, dim); n may be 0."""
    import faiss

    width = _filled(dim)
    index: Any = faiss.IndexPQ(width, width // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed, index.pq.cp.niter, index.pq.cp.min_points_per_centroid = _SEED, _ITERATIONS, 1
    rows = rows if len(rows) else np.zeros((1, dim), np.float32)
    index.train(np.resize(fill(rows), (max(len(rows), _MIN_TRAINING_ROWS), width)))
    return index


def with_codebook(other: Any) -> Any:
    """An empty index with the codebook of another."""
    import faiss

    index: Any = faiss.IndexPQ(other.d, other.pq.M, 4, faiss.METRIC_INNER_PRODUCT)
    _set_codebook(index, faiss.vector_to_array(other.pq.centroids))
    return index


def codes_of(index: Any) -> npt.NDArray[np.uint8]:
    """The codes of all rows (n, bytes): the memory or the mapped file of the index, which must outlive them."""
    import faiss

    if not index.ntotal:
        return np.zeros((0, index.code_size), np.uint8)
    codes: npt.NDArray[np.uint8] = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    return codes.reshape(index.ntotal, index.code_size)


def coding_loss(index: Any, rows: FloatArray) -> float:
    """What the codebook takes from rows: the mean square of what is lost, over that of the rows; 0 for no rows."""
    rows = fill(rows)
    size = float(np.square(rows, dtype=np.float64).sum())
    if not size:
        return 0.0
    lost = rows - index.sa_decode(index.sa_encode(rows))
    return float(np.square(lost, dtype=np.float64).sum()) / size


def fast_scan_index(tables: Tables, codes: npt.NDArray[np.uint8]) -> Any:
    """An index for `fast_scan_queries` of rows whose levels are side by side; codes (n, bytes), tables of those levels.

    It has one byte more, which is 0 in every row and only there for `fast_scan_queries`.
    """
    import faiss

    more = np.zeros((_ALIGNED // 2, *tables.shape[1:]), np.float32)
    more[0, 1:, 0] = 1
    width = 2 * len(tables) + _ALIGNED
    flat: Any = faiss.IndexPQ(width, width // 2, 4, faiss.METRIC_INNER_PRODUCT)
    _set_codebook(flat, np.concatenate([tables, more]).reshape(-1))
    flat.add_sa_codes(np.pad(codes, ((0, 0), (0, 1))))
    index: Any = faiss.IndexPQFastScan(flat, 32)
    index.orig_codes = None  # of `flat`, which goes
    return index


def fast_scan_queries(tables: Tables, queries: FloatArray) -> FloatArray:
    """Queries (B, D), filled up, with what keeps FAISS's sums within 16 bits.

    FAISS makes every query's table of inner products one of 8 bits, so that the widest of its columns fills these, and
    adds up a number of each column in 16 bits: of more than 257 columns that may overflow, and a row that is near be
    taken for one that is far. A further column, of which every row has the smallest number, is made as wide as need be.
    """
    products = np.einsum("mcd,bmd->bmc", tables, queries.reshape(len(queries), -1, 2))
    total = np.ptp(products, axis=2).sum(axis=1)
    # Rounding adds half a step to each column at most.
    needed = total * 255 / max(65535 - len(tables), 255)
    more = np.zeros((len(queries), _ALIGNED), np.float32)
    more[:, 0] = needed
    return np.concatenate([queries, more], axis=1)


def tables_of(indices: Sequence[Any]) -> Tables:
    """The codebooks of levels, side by side."""
    import faiss

    return np.concatenate([faiss.vector_to_array(index.pq.centroids).reshape(-1, 16, 2) for index in indices])


def fill(rows: FloatArray) -> FloatArray:
    """Rows with zeros after them, as wide as the codes of their level are."""
    more = _filled(rows.shape[1]) - rows.shape[1]
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, more))) if more else rows)


def _filled(dim: int) -> int:
    return -(-dim // _ALIGNED) * _ALIGNED


def _set_codebook(index: Any, centroids: FloatArray) -> None:
    import faiss

    faiss.copy_array_to_vector(centroids, index.pq.centroids)
    index.is_trained = True
