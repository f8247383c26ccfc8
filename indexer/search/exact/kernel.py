"""The scan of 8-bit rows as machine code (Numba). Importing this file compiles it, or reads what was compiled before.

One pass: a block of rows is read once for all levels and queries, and while it is in the processor's cache its
inner products are computed, scaled, activated, weighted and added, and only rows within reach are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from indexer.search.exact import kernel_products
from indexer.search.exact.kernel_products import GROUP, multiply
from indexer.search.exact.machine_code_cache import keep_machine_code
from model.levels import LEVEL_NAMES

__all__ = ["BLOCK", "GROUP", "LEVELS", "scan_rows"]

BLOCK = 256
"""Rows per step. A query's room for survivors must be larger."""

LEVELS = len(LEVEL_NAMES)

_CACHE = keep_machine_code([__file__, kernel_products.__file__])

_LOWEST = np.finfo(np.float32).min


@njit(nogil=True, error_model="numpy")
def _sigmoid(value: Any) -> Any:
    return np.float32(1) / (np.float32(1) + np.exp(-value))


@njit(nogil=True, error_model="numpy")
def _fuse(
    products: Any,
    member: int,
    begin: int,
    size: int,
    query: int,
    used: Any,
    scales: Any,
    present: Any,
    factors: Any,
    weights: Any,
    biases: Any,
    sigmoid: Any,
    complete: Any,
    part: Any,
    total: Any,
    norm: Any,
) -> None:
    """Write the fused scores of `size` rows to `total`; -inf for those that share no level with the query."""
    total[:], norm[:] = 0, 0
    for level in used:
        weight = weights[level, query]
        if weight > 0:
            factor, bias = factors[level, query], biases[level]
            own = scales[level][begin : begin + size]
            for i in range(size):
                part[i] = products[level, member, i] * (own[i] * factor) + bias
            if sigmoid[level]:
                for i in range(size):
                    part[i] = _sigmoid(part[i])
            if complete[level]:
                for i in range(size):
                    total[i] += weight * part[i]
                    norm[i] += weight
            else:
                for i in range(size):
                    share = weight if present[level, begin + i] else np.float32(0)
                    total[i] += share * part[i]
                    norm[i] += share
    for i in range(size):
        total[i] = total[i] / norm[i] if norm[i] > 0 else np.float32(-np.inf)


@njit(nogil=True)
def _largest(values: Any, size: int) -> float:
    largest = values[0]
    for i in range(1, size):
        largest = max(largest, values[i])
    return largest


@njit(nogil=True, error_model="numpy")
def _limits(
    products: Any,
    row: int,
    query: int,
    used: Any,
    scales: Any,
    present: Any,
    factors: Any,
    weights: Any,
    biases: Any,
    sigmoid: Any,
    losses: Any,
    margins: Any,
) -> Any:
    """(least, most): what a row of a segment scores; products (L,)."""
    low, high, norm = np.float32(0), np.float32(0), np.float32(0)
    for level in used:
        weight, scale = weights[level, query], scales[level][row]
        if weight > 0 and present[level, row]:
            value = products[level] * (scale * factors[level, query]) + biases[level]
            lost = min(scale * losses[0, level], losses[1, level])
            reach = lost * margins[0, level, query] + margins[1, level, query]
            least, most, own = value - reach, value + reach, margins[2, level, query]
            if sigmoid[level]:
                least, most = _sigmoid(least), _sigmoid(most)
            low += weight * (least - own)
            high += weight * (most + own)
            norm += weight
    return (low / norm, high / norm) if norm > 0 else (np.float32(-np.inf), np.float32(-np.inf))


@njit(nogil=True)
def _kth_largest(values: Any, k: int) -> float:
    """Hoare's selection (1961). The order of `values` changes."""
    first, last, wanted = 0, len(values) - 1, k - 1
    while first < last:
        pivot, i, j = values[wanted], first, last
        while i <= j:
            while values[i] > pivot:
                i += 1
            while pivot > values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if j < wanted:
            first = i
        if wanted < i:
            last = j
    return values[wanted]


@njit(nogil=True)
def _trimmed(k: int, kept: Any, low: Any, high: Any, count: int, least: float) -> tuple[int, float]:
    """Drop of `count` rows those that cannot be among the first k: how many are left, and what others must reach."""
    if count >= k:
        least = max(least, _kth_largest(low[:count].copy(), k))
    left = 0
    for i in range(count):
        if high[i] >= least:
            kept[left], low[left], high[left] = kept[i], low[i], high[i]
            left += 1
    return left, least


@njit(
    types.int64(
        types.int64[::1],
        types.UniTuple(types.float32[::1], LEVELS),
        types.boolean[:, ::1],
        types.int64[::1],
        types.int64[::1],
        types.int64[::1],
        types.float32[:, ::1],
        types.float32[:, ::1],
        types.float32[::1],
        types.boolean[::1],
        types.boolean[::1],
        types.float32[:, ::1],
        types.float32[:, :, ::1],
        types.float32[::1],
        types.boolean[::1],
        *(types.int64,) * 4,
        types.float32[::1],
        types.int64[::1],
        types.int64[:, ::1],
        types.float32[:, :, ::1],
        types.int64[::1],
    ),
    nogil=True,
    cache=_CACHE,
    error_model="numpy",
)
def scan_rows(
    codes: Any,
    scales: Any,
    present: Any,
    used: Any,
    queries: Any,
    dims: Any,
    factors: Any,
    weights: Any,
    biases: Any,
    sigmoid: Any,
    complete: Any,
    losses: Any,
    margins: Any,
    errors: Any,
    allowed: Any,
    start: int,
    first: int,
    last: int,
    k: int,
    least: Any,
    marks: Any,
    kept: Any,
    limits: Any,
    counts: Any,
) -> int:
    """Keep the rows `first` to `last` of a segment that may be among the first k, per query.

    codes, scales      per level the address of int8 (n, d_l), and float32 (n,)
    present            bool (L, n); complete: bool (L,), whether every row has the level, and `present` is not read
    used               levels that count for any query
    queries, dims      per level the address of int16 (B, d_l), B = 1 or filled up to a multiple of GROUP; d_l
    factors, weights   float32 (L, B): what an integer product and a row's scale are multiplied by; w_l
    biases, sigmoid    float32 (L,), bool (L,): b_l and whether the activation is the sigmoid
    losses             float32 (2, L): the `ratio` and the `residual` of the rows (`codes.Bounds`)
    margins            float32 (3, L, B): `lengths` and `fixed` of `codes.Margins`, times a_l, and `own_error`
    errors             float32 (B,): the most that a fused score is off
    allowed            bool (N,) by row of the gallery, whose rows the segment's are from `start` on; or empty: all
    least, marks       float32, int64 (B,): what a row must be able to score, and how many rows are kept before that is
                       looked at again; both grow
    kept, limits       int64 (B, room), float32 (2, B, room): rows of the gallery and what they score at least and most
                       are written behind ...
    counts             int64 (B,): ... so many that are there already
    Returns `last`, or the row to go on with once every query has room for BLOCK more.
    """
    asking, room = kept.shape
    products = np.empty((LEVELS, GROUP, BLOCK), np.int32)
    part, total, norm = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for begin in range(first, last, BLOCK):
        size = min(BLOCK, last - begin)
        for query in range(asking):
            if counts[query] + size > room:
                return begin
        if len(allowed) and not allowed[start + begin : start + begin + size].any():
            continue
        for group in range(0, asking, GROUP):
            multiply(codes, begin, size, used, queries, dims, group, asking == 1, products)
            for query in range(group, min(group + GROUP, asking)):
                member = query - group
                _fuse(
                    products, member, begin, size, query, used, scales, present, factors, weights, biases, sigmoid,
                    complete, part, total, norm,
                )  # fmt: skip
                near = max(least[query] - errors[query], _LOWEST)
                if _largest(total, size) < near:
                    continue
                for i in range(size):
                    if total[i] < near or (len(allowed) and not allowed[start + begin + i]):
                        continue
                    low, high = _limits(
                        products[:, member, i], begin + i, query, used, scales, present, factors, weights, biases,
                        sigmoid, losses, margins,
                    )  # fmt: skip
                    if high >= least[query]:
                        kept[query, counts[query]] = start + begin + i
                        limits[0, query, counts[query]], limits[1, query, counts[query]] = low, high
                        counts[query] += 1
                if counts[query] > marks[query]:
                    counts[query], least[query] = _trimmed(
                        k, kept[query], limits[0, query], limits[1, query], counts[query], least[query]
                    )
                    marks[query] = 2 * max(counts[query], k)
    return last
