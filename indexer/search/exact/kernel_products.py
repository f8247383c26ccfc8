"""Inner products of 8-bit rows with queries of 16 bits, in the machine's widest instructions (Numba, LLVM)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

GROUP = 4
"""Queries whose products with a row are computed together: several queries must be a multiple of it."""

_ROWS = 4
"""Rows of such a tile: what is loaded for it is used several times, and multiplying is what takes time, not loading."""

_STRIPE, _WIDE_STRIPE = 16, 128
"""Rows of one level that are read before those of the next, for one query and for several: one waits for the memory,
which several short streams keep busier than a long one; several compute, and want rows again that are in the cache."""

_WIDTH = 32
"""Numbers per step of an inner product: as many 16-bit ones fill the widest vectors that processors have."""


def _products_of(rows: int, queries: int) -> Any:
    """Makes the function that gives the inner products of 8-bit rows that are together and queries of 16 bits.

    Products of neighbours that are added at once become the instructions that exist for it (vpdpwssd, pmaddwd). From
    loops in Python LLVM makes those for one query, but plain multiplications, at a third of the speed, for several.
    """

    @intrinsic
    def products(context: Any, row: Any, query: Any, stride: Any, dim: Any) -> Any:
        """(address of the first row, of the first query, bytes from one query to the next, d): int32 products."""

        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row, query, stride, dim = arguments
            one, word = ir.IntType(32), ir.IntType(64)
            sums, pairs = ir.VectorType(one, _WIDTH // 2), ir.VectorType(one, _WIDTH)
            even, odd = (ir.Constant(sums, list(range(first, _WIDTH, 2))) for first in (0, 1))
            above = [builder.add(row, builder.mul(dim, word(i))) for i in range(rows)]
            beside = [builder.add(query, builder.mul(stride, word(i))) for i in range(queries)]

            def load(place: Any, step: Any, bits: int, count: int) -> Any:
                """`count` numbers at a place, after `step` times as many, as int32."""
                kind = ir.IntType(bits) if count == 1 else ir.VectorType(ir.IntType(bits), count)
                address = builder.add(place, builder.mul(step, word(count * bits // 8)))
                value = builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)
                return builder.sext(value, one if count == 1 else pairs)

            def add(total: Any, value: Any) -> None:
                builder.store(builder.add(builder.load(total), value), total)

            totals = [cgutils.alloca_once_value(builder, ir.Constant(sums, None)) for _ in range(rows * queries)]
            steps = builder.udiv(dim, word(_WIDTH))
            with cgutils.for_range(builder, steps) as loop:
                values = [load(place, loop.index, 8, _WIDTH) for place in above]
                asked = [load(place, loop.index, 16, _WIDTH) for place in beside]
                for total, (value, other) in zip(totals, itertools.product(values, asked), strict=True):
                    product = builder.mul(value, other)
                    halves = (builder.shuffle_vector(product, product, half) for half in (even, odd))
                    add(total, builder.add(*halves))
            found = [cgutils.alloca_once_value(builder, value) for value in _sums(builder, totals)]
            with cgutils.for_range_slice(builder, builder.mul(steps, word(_WIDTH)), dim, word(1)) as (index, _):
                for total, (place, other) in zip(found, itertools.product(above, beside), strict=True):
                    add(total, builder.mul(load(place, index, 8, 1), load(other, index, 16, 1)))
            return target.make_tuple(builder, signature.return_type, [builder.load(total) for total in found])

        return types.UniTuple(types.int32, rows * queries)(types.int64, types.int64, types.int64, types.int64), generate

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


_one, _group, _tile = _products_of(1, 1), _products_of(1, GROUP), _products_of(_ROWS, GROUP)


@njit(nogil=True)
def multiply(
    codes: Any, begin: int, size: int, used: Any, queries: Any, dims: Any, query: int, single: bool, out: Any
) -> None:
    """Products of `size` rows from `begin` on with one query or GROUP of them: int32 (L, GROUP, size)."""
    height = _STRIPE if single else _WIDE_STRIPE
    for stripe in range(0, size, height):
        for level in used:
            dim, stride = dims[level], 2 * dims[level]
            asked = queries[level] + query * stride
            i, last = stripe, min(stripe + height, size)
            while not single and i + _ROWS <= last:
                found = _tile(codes[level] + (begin + i) * dim, asked, stride, dim)
                for j in range(_ROWS):
                    for k in range(GROUP):
                        out[level, k, i + j] = found[j * GROUP + k]
                i += _ROWS
            while i < last:
                row = codes[level] + (begin + i) * dim
                if single:
                    (out[level, 0, i],) = _one(row, asked, stride, dim)
                else:
                    for k, product in enumerate(_group(row, asked, stride, dim)):
                        out[level, k, i] = product
                i += 1
