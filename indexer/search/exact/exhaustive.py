"""Exhaustive search: one pass over the compact rows of all levels that a query uses (`vectors.compact_rows`).

Scores of compact rows are off by a bounded amount, so every item that may be among the first k is kept for a
second look in float32; all others provably are not. The arrays are NumPy's on the CPU and PyTorch's on a GPU; on the
CPU `exact.code_scan` takes over once it is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.search.exact.code_scan import compiled_kernel, limits_of_all, scan_codes
from indexer.search.question import Floats, Question, fused_error
from indexer.search.survivors import Survivors
from indexer.search.vectors.compact_rows import Array, MappedCodes, Resident
from indexer.search.vectors.gallery import Gallery

_BLOCK_SCORES = {"cpu": 1 << 17, "accelerator": 1 << 24}
"""Scores computed per step, of all queries: on the CPU they stay in its caches."""

_BLOCK_ROWS = {"cpu": 1 << 15, "accelerator": 1 << 20}
"""Rows per step at most."""


def scan(
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int = 0,
) -> list[Survivors]:
    """For each query the rows of every item whose true score may be among the first k.

    allowed  bool (N,): rows that may be in the answer; None for all
    skip     segments, from the first on, that are left out
    """
    resident = gallery.resident
    kernel = compiled_kernel(len(gallery.row_ids)) if isinstance(resident, MappedCodes) else None
    if kernel is not None and len(question.specs) <= kernel.LEVELS:
        return scan_codes(kernel, gallery, question, k, allowed, skip)
    survivors = _Survivors(resident.arrays, len(question), k)
    for place, start, segment in gallery.parts():
        if place < skip:
            continue
        raw, sizes = resident.errors(place, question)
        error = resident.array(fused_error(question, raw, sizes, gallery.complete))
        block = _Block(question, resident, place, gallery.complete)
        for first in range(0, len(segment), block.size):
            last = min(first + block.size, len(segment))
            scores = block.scores(first, last)
            if allowed is not None:
                mask = resident.array(allowed[start + first : start + last])
                scores = resident.arrays.where(mask, scores, -np.inf)
            survivors.take(scores, start + first, error)
    return survivors.found()


def row_limits(gallery: Gallery, question: Question) -> tuple[Floats, Floats]:
    """What each of all N rows scores at least and most for each of B queries: (B, N) each.

    -inf for items that share no weighted level with the query. Rows of removed items have scores too.
    """
    resident = gallery.resident
    rows = len(gallery.row_ids)
    kernel = compiled_kernel(rows) if isinstance(resident, MappedCodes) else None
    if kernel is not None and len(question.specs) <= kernel.LEVELS:
        return limits_of_all(kernel, gallery, question)
    low, high = np.full((2, len(question), rows), -np.inf)
    for place, start, segment in gallery.parts():
        raw, sizes = resident.errors(place, question)
        error = fused_error(question, raw, sizes, gallery.complete)[:, None]
        block = _Block(question, resident, place, gallery.complete)
        for first in range(0, len(segment), block.size):
            last = min(first + block.size, len(segment))
            scores = _to_numpy(block.scores(first, last)).astype(np.float64)
            own = slice(start + first, start + last)
            low[:, own], high[:, own] = scores - error, scores + error
    return low, high


class _Block:
    """Fused scores of a block of rows of one segment, for all queries: (B, rows) float32."""

    def __init__(self, question: Question, resident: Resident, place: int, complete: npt.NDArray[np.bool_]) -> None:
        self._xp = resident.arrays
        self._present = resident.present[place]
        self._used = question.used
        self._products = {spec.name: resident.products(place, spec, question) for _, spec in self._used}
        self._weights = resident.array(question.weights.astype(np.float32))
        self._complete = complete
        kind = "cpu" if resident.device == "cpu" else "accelerator"
        self.size = max(1, min(_BLOCK_ROWS[kind], _BLOCK_SCORES[kind] // len(question)))

    def scores(self, first: int, last: int) -> Array:
        """-inf for items that share no weighted level with the query."""
        total = norm = None
        for column, spec in self._used:
            score = self._products[spec.name](first, last)
            if spec.bias:
                score += spec.bias
            if spec.activation == "sigmoid":
                score = _sigmoid(score)
            weight = self._weights[:, column : column + 1]
            score *= weight
            if not self._complete[column]:
                present = self._present[column, first:last]
                score *= present
                weight = weight * present
            if total is None:
                total = score
            else:
                total += score
            norm = weight if norm is None else norm + weight
        assert total is not None
        assert norm is not None
        if all(self._complete[column] for column, _ in self._used):
            total /= norm
            return total
        return self._xp.where(norm > 0, total / self._xp.where(norm > 0, norm, 1.0), -np.inf)


class _Survivors:
    """The best scores so far, and every row that the error leaves within their reach."""

    def __init__(self, arrays: Any, queries: int, k: int) -> None:
        self._xp = arrays
        self._k = k
        self._best: Array | None = None
        self._reach: Array | None = None
        self._kept: list[tuple[Array, Array, Array]] = []
        self._queries = queries

    def take(self, scores: Array, start: int, error: Array) -> None:
        """scores (B, rows), of rows from `start` on, each off by at most error (B,)."""
        xp = self._xp
        top = xp.asarray(_largest(scores, self._k), dtype=xp.float64) - error[:, None]
        best = top if self._best is None else _largest(xp.concat([self._best, top], axis=1), self._k)
        self._best = best
        # A row whose score plus its error stays below k scores less their errors cannot be among the first k.
        reach = xp.amin(best, axis=1) if best.shape[1] == self._k else xp.full_like(error, -np.inf)
        least = xp.asarray(reach - error, dtype=xp.float32)
        least = xp.nextafter(least, xp.full_like(least, -np.inf))
        least = xp.maximum(least, xp.full_like(least, np.finfo(np.float32).min))
        query, row = xp.where(scores >= least[:, None])
        self._kept.append((query, row + start, xp.asarray(scores[query, row], dtype=xp.float64) + error[query]))
        self._reach = reach

    def found(self) -> list[Survivors]:
        if self._reach is None:
            return [Survivors(np.zeros(0, dtype=np.int64))] * self._queries
        query, row, high = (self._xp.concat(parts) for parts in zip(*self._kept, strict=True))
        final = high >= self._reach[query]
        query, row = _to_numpy(query[final]), _to_numpy(row[final])
        return [Survivors(row[query == i]) for i in range(self._queries)]


def _largest(scores: Array, k: int) -> Array:
    """The k largest of every row, or all, in any order."""
    columns = scores.shape[1]
    if columns <= k:
        return scores
    if isinstance(scores, np.ndarray):
        return np.partition(scores, columns - k, axis=1)[:, columns - k :]
    return scores.topk(k, dim=1, sorted=False).values


def _sigmoid(score: Array) -> Array:
    if not isinstance(score, np.ndarray):
        return score.sigmoid_()
    with np.errstate(over="ignore"):  # infinity becomes 0
        return 1 / (1 + np.exp(-score))


def _to_numpy(array: Array) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = array if isinstance(array, np.ndarray) else array.cpu().numpy()
    return found
