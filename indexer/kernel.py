"""The scan of 8-bit rows as machine code (Numba). Importing this file compiles it, which takes some seconds.

One pass: a block of rows is read once for all levels and queries, and while it is in the processor's cache its
inner products are computed, scaled, activated, weighted and added, and only rows within reach are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from model.levels import LEVEL_NAMES

GROUP = 4
"""Queries whose products with a row are computed together: several queries must be a multiple of it."""

BLOCK = 256
"""Rows per step. A query's room for survivors must be larger."""

LEVELS = len(LEVEL_NAMES)

_LOWEST = np.finfo(np.float32).min

_STRIPE, _WIDE_STRIPE = 16, 128
"""Rows of one level that are read before those of the next, for one query and for several: one waits for the memory,
which several short streams keep busier than a long one; several compute, and want rows again that are in the cache."""

_WIDTH = 32
"""Numbers per step of an inner product: as many 16-bit ones fill the widest vectors that processors have."""


def _products_of(queries: int) -> Any:
    """Makes the function that gives the inner products of one 8-bit row and `queries` queries of 16 bits.

    Products of neighbours that are added at once become the instructions that exist for it (vpdpwssd, pmaddwd). From
    loops in Python LLVM makes those for one query, but plain multiplications, at a third of the speed, for several.
    """

    @intrinsic
    def products(context: Any, row: Any, query: Any, stride: Any, dim: Any) -> Any:
        """(address of the row, address of the first query, bytes from one to the next, d): int32 products."""

        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, query, stride, dim = arguments
            one, word = ir.IntType(32), ir.IntType(64)
            sums, pairs = ir.VectorType(one, _WIDTH // 2), ir.VectorType(one, _WIDTH)
            even, odd = (ir.Constant(sums, list(range(first, _WIDTH, 2))) for first in (0, 1))
            places = [builder.add(query, builder.mul(stride, word(i))) for i in range(queries)]

            def load(place: Any, step: Any, bits: int, count: int) -> Any:
                """`count` numbers at a place, after `step` times as many, as int32."""
                kind = ir.IntType(bits) if count == 1 else ir.VectorType(ir.IntType(bits), count)
                address = builder.add(place, builder.mul(step, word(count * bits // 8)))
                value = builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)
                return builder.sext(value, one if count == 1 else pairs)

            def add(total: Any, value: Any) -> None:
                builder.store(builder.add(builder.load(total), value), total)

            totals = [cgutils.alloca_once_value(builder, ir.Constant(sums, None)) for _ in range(queries)]
            steps = builder.udiv(dim, word(_WIDTH))
            with cgutils.for_range(builder, steps) as loop:
                values = load(row, loop.index, 8, _WIDTH)
                for total, place in zip(totals, places, strict=True):
                    product = builder.mul(values, load(place, loop.index, 16, _WIDTH))
                    halves = (builder.shuffle_vector(product, product, half) for half in (even, odd))
                    add(total, builder.add(*halves))
            found = [cgutils.alloca_once_value(builder, value) for value in _sums(builder, totals)]
            with cgutils.for_range_slice(builder, builder.mul(steps, word(_WIDTH)), dim, word(1)) as (index, _):
                value = load(row, index, 8, 1)
                for total, place in zip(found, places, strict=True):
                    add(total, builder.mul(value, load(place, index, 16, 1)))
            return target.make_tuple(builder, signature.return_type, [builder.load(total) for total in found])

        return types.UniTuple(types.int32, queries)(types.int64, types.int64, types.int64, types.int64), generate

    return products


def _sums(builder: Any, vectors: Sequence[Any]) -> list[Any]:
    """The sum of each vector's numbers; of several vectors together, which takes half as many instructions."""
    parts = [builder.load(vector) for vector in vectors]
    width = _WIDTH // 2
    while width > 1:
        width //= 2
        # Halves of what is left of each are added, of two vectors at a time side by side.
        pairs = list(zip(parts[::2], parts[1::2], strict=True)) if len(parts) > 1 else [(parts[0], parts[0])]
        parts = [_halves_added(builder, *pair, width) for pair in pairs]
    return [builder.extract_element(parts[0], ir.IntType(32)(i)) for i in range(len(vectors))]


def _halves_added(builder: Any, first: Any, second: Any, width: int) -> Any:
    """Of two vectors of sums that are `2 * width` wide, the lower halves plus the upper ones."""
    count = _WIDTH // 2
    lower = [i for i in range(2 * count if first is not second else count) if i % (2 * width) < width]
    if first is second:
        lower = lower + lower
    return builder.add(
        *(
            builder.shuffle_vector(first, second, ir.Constant(first.type, [i + shift for i in lower]))
            for shift in (0, width)
        )
    )


_one, _group = _products_of(1), _products_of(GROUP)


@njit(nogil=True)
def _multiply(
    codes: Any, begin: int, size: int, used: Any, queries: Any, dims: Any, query: int, single: bool, out: Any
) -> None:
    """Products of `size` rows from `begin` on with one query or GROUP of them: int32 (L, GROUP, size)."""
    height = _STRIPE if single else _WIDE_STRIPE
    for stripe in range(0, size, height):
        for level in used:
            dim, stride = dims[level], 2 * dims[level]
            asked = queries[level] + query * stride
            for i in range(stripe, min(stripe + height, size)):
                row = codes[level] + (begin + i) * dim
                if single:
                    (out[level, 0, i],) = _one(row, asked, stride, dim)
                else:
                    out[level, 0, i], out[level, 1, i], out[level, 2, i], out[level, 3, i] = _group(
                        row, asked, stride, dim
                    )


@njit(nogil=True, error_model="numpy")
def _sigmoid(value: Any) -> Any:
    return np.float32(1) / (np.float32(1) + np.exp(-value))


@njit(nogil=True)
def _add(
    values: Any, weight: float, complete: bool, present: Any, begin: int, size: int, total: Any, norm: Any
) -> None:
    """Add a level's weighted activations to `total`, and its weight to `norm`, for the rows that have it."""
    if complete:
        for i in range(size):
            total[i] += weight * values[i]
            norm[i] += weight
    else:
        for i in range(size):
            share = weight if present[begin + i] else np.float32(0)
            total[i] += share * values[i]
            norm[i] += share


@njit(nogil=True, error_model="numpy")
def _near(total: Any, norm: Any, size: int, least: float) -> bool:
    """Divide the sums of `size` rows by their weights; whether one of them is at least `least`."""
    near = False
    for i in range(size):
        # A row that shares no level with the query has none of its weight, and is never a hit.
        total[i] = total[i] / norm[i] if norm[i] > 0 else np.float32(-np.inf)
        near |= total[i] >= least
    return near


@njit(nogil=True, error_model="numpy")
def _limits(
    row: int,
    values: Any,
    query: int,
    used: Any,
    scales: Any,
    present: Any,
    weights: Any,
    sigmoid: Any,
    losses: Any,
    margins: Any,
) -> tuple[float, float]:
    """What a row of a segment scores at least and most; values (L,): a_l * <v_l, q_l> + b_l by its codes."""
    low, high, norm = np.float32(0), np.float32(0), np.float32(0)
    for level in used:
        weight = weights[level, query]
        if weight > 0 and present[level, row]:
            lost = min(scales[level][row] * losses[0, level], losses[1, level])
            reach = lost * margins[0, level, query] + margins[1, level, query]
            least, most, own = values[level] - reach, values[level] + reach, margins[2, level, query]
            if sigmoid[level]:
                least, most = _sigmoid(least), _sigmoid(most)
            low += weight * (least - own)
            high += weight * (most + own)
            norm += weight
    return low / norm, high / norm


_SIGNATURE = types.int64(
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
    types.boolean[::1],
    types.float32[:, ::1],
    types.float32[:, :, ::1],
    types.float32[::1],
    types.int64,
    types.int64,
    types.int64,
    types.float32[::1],
    types.int64[:, ::1],
    types.float32[:, :, ::1],
    types.int64[::1],
)


@njit(_SIGNATURE, nogil=True, error_model="numpy")
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
    allowed: Any,
    losses: Any,
    margins: Any,
    errors: Any,
    start: int,
    first: int,
    last: int,
    least: Any,
    kept: Any,
    limits: Any,
    counts: Any,
) -> int:
    """Keep the rows `first` to `last` of a segment that may score `least` (B,) or more, per query.

    codes, scales      per level the address of int8 (n, d_l), and float32 (n,)
    present            bool (L, n); complete: bool (L,), whether every row has the level, and `present` is not read
    used               levels that count for any query
    queries, dims      per level the address of int16 (B, d_l), B = 1 or filled up to a multiple of GROUP; d_l
    factors, weights   float32 (L, B): what an integer product and a row's scale are multiplied by; w_l
    biases, sigmoid    float32 (L,), bool (L,): b_l and whether the activation is the sigmoid
    allowed            bool (N,) by row of the gallery, whose rows the segment's are from `start` on; or empty: all
    losses             float32 (2, L): the `ratio` and the `residual` of the rows (`indexer.codes.Bounds`)
    margins            float32 (3, L, B): `lengths` and `fixed` of `indexer.codes.Margins`, times a_l, and `own_error`
    errors             float32 (B,): the most that a fused score is off
    kept, limits       int64 (B, room), float32 (2, B, room): rows of the gallery and what they score at least and most
                       are written behind ...
    counts             int64 (B,): ... so many that are there already
    Returns `last`, or the row to go on with once every query has room for BLOCK more.
    """
    asking, room = kept.shape
    products, values = np.empty((LEVELS, GROUP, BLOCK), np.int32), np.empty(LEVELS, np.float32)
    part, total, norm = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for begin in range(first, last, BLOCK):
        size = min(BLOCK, last - begin)
        for query in range(asking):
            if counts[query] + size > room:
                return begin
        if len(allowed) and not allowed[start + begin : start + begin + size].any():
            continue
        for group in range(0, asking, GROUP):
            _multiply(codes, begin, size, used, queries, dims, group, asking == 1, products)
            for query in range(group, min(group + GROUP, asking)):
                total[:], norm[:] = 0, 0
                for level in used:
                    weight = weights[level, query]
                    if weight > 0:
                        factor, bias = factors[level, query], biases[level]
                        for i in range(size):
                            part[i] = products[level, query - group, i] * (scales[level][begin + i] * factor) + bias
                        if sigmoid[level]:
                            for i in range(size):
                                part[i] = _sigmoid(part[i])
                        _add(part, weight, complete[level], present[level], begin, size, total, norm)
                reach = max(least[query] - errors[query], _LOWEST)
                if not _near(total, norm, size, reach):
                    continue
                for i in range(size):
                    if total[i] >= reach and (not len(allowed) or allowed[start + begin + i]):
                        for level in used:
                            factor = scales[level][begin + i] * factors[level, query]
                            values[level] = products[level, query - group, i] * factor + biases[level]
                        low, high = _limits(
                            begin + i, values, query, used, scales, present, weights, sigmoid, losses, margins
                        )
                        if high >= least[query]:
                            count = counts[query]
                            kept[query, count] = start + begin + i
                            limits[0, query, count], limits[1, query, count] = low, high
                            counts[query] += 1
    return last
