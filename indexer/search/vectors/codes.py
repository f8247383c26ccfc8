"""8-bit rows: a code per number and a scale per row, a quarter of the vectors. What a scan on the CPU reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import numpy.typing as npt

from indexer.search.question import FLOAT32_UNIT, Floats, Question
from model.levels import FloatArray, LevelSpec

Codes = npt.NDArray[np.int8]

_MAX_CODE = 127
"""Codes are in [-127, 127]: -128 has no opposite."""


@dataclass(frozen=True)
class Bounds:
    """What a search must know of one level's rows to bound its own rounding.

    norm      the largest L2 norm of a row
    residual  the largest L2 distance between a row and what its code stands for
    ratio     the largest such distance per unit of the row's scale: most rows have smaller numbers than the one with
              the largest residual, and are coded better. Huge where it was not measured
    """

    norm: float
    residual: float
    ratio: float = 1e30

    @classmethod
    def over(cls, several: Sequence[Bounds]) -> Bounds:
        """Of the rows of several segments together."""
        return cls(*(max((getattr(own, field.name) for own in several), default=0.0) for field in fields(cls)))


def encode(rows: FloatArray) -> tuple[Codes, FloatArray]:
    """Codes (n, d) and scales (n,) of rows (n, d): row i is near scales[i] * codes[i], and rows of zeros are exact."""
    codes, scales = _encode(rows, _MAX_CODE)
    return codes.astype(np.int8), scales


def encode_queries(rows: FloatArray) -> tuple[npt.NDArray[np.int16], FloatArray]:
    """As `encode`, with as many of 16 bits as leave the sums of products with a row's codes within 32."""
    d = rows.shape[1]
    codes, scales = _encode(rows, min(np.iinfo(np.int16).max, np.iinfo(np.int32).max // (_MAX_CODE * max(d, 1))))
    return codes.astype(np.int16), scales


def _encode(rows: FloatArray, largest: int) -> tuple[FloatArray, FloatArray]:
    # Smaller numbers have fewer bits: a scale of few bits would code a row badly.
    scales = np.maximum(np.abs(rows).max(axis=1, initial=0) / np.float32(largest), np.finfo(np.float32).tiny)
    return np.rint(rows / scales[:, None]).clip(-largest, largest), scales


_LOST = 0.51
"""Of a scale, what coding takes from a number at most: half of it, and the roundings of scale and quotient (each at
most 2^-23 of 32,767 scales)."""


def residuals(rows: FloatArray, codes: Codes, scales: FloatArray) -> Floats:
    """The L2 distances (n,) between rows and what their codes stand for."""
    lost = rows - scales[:, None].astype(np.float64) * codes
    return np.sqrt(np.einsum("nd,nd->n", lost, lost))


_WIDENING_BLOCK = 1 << 20
"""Numbers that are made float32 at a time where none of 8 bits are multiplied: 4 MB stay in the processor's caches."""

_MIN_ROWS_PYTORCH = 1 << 15
"""Rows of a segment for which it pays to load PyTorch."""


class CodeProducts:
    """Inner products of B queries with the coded rows (n, d) of one level of a segment.

    The way of a process that has only begun to search (`exact.code_scan`): slower, but at once. Queries are coded as
    rows are. PyTorch multiplies the rows of a large segment where it does so exactly (`exact_products`), else NumPy.
    """

    def __init__(self, spec: LevelSpec, queries: FloatArray, codes: Codes, scales: FloatArray) -> None:
        self._queries, factors = encode(queries)
        self._rows, self._scales = codes, scales
        self._integers = len(codes) >= _MIN_ROWS_PYTORCH and exact_products()
        self._factors = factors[:, None] * np.float32(spec.scale)

    def __call__(self, first: int, last: int) -> FloatArray:
        """The level's scale times the inner products of rows `first` to `last`: (B, last - first) float32."""
        rows = self._rows[first:last]
        out = _integer_products(rows, self._queries) if self._integers else _float_products(rows, self._queries)
        out *= self._scales[first:last]
        out *= self._factors
        return out


def _integer_products(rows: Codes, queries: Codes) -> FloatArray:
    import torch

    found = torch._int_mm(torch.from_numpy(rows), torch.from_numpy(queries.T.copy()))
    return np.ascontiguousarray(found.numpy().T, np.float32)


def _float_products(rows: Codes, queries: Codes) -> FloatArray:
    out = np.empty((len(queries), len(rows)), np.float32)
    wide = np.empty((max(1, _WIDENING_BLOCK // max(1, rows.shape[1])), rows.shape[1]), np.float32)
    left = queries.astype(np.float32)
    for start in range(0, len(rows), len(wide)):
        part = rows[start : start + len(wide)]
        wide[: len(part)] = part
        out[:, start : start + len(part)] = left @ wide[: len(part)].T
    return out


def code_errors(question: Question, bounds: Mapping[str, Bounds], margins: Margins) -> tuple[Floats, Floats]:
    """How far products with coded rows may be off, before the level's scale, and the largest magnitudes: (B, L) each.

    That is `margins` for the row that coding has taken most from.
    """
    residual = np.array([bounds[spec.name].residual for spec in question.specs])
    return residual * margins.lengths + margins.fixed, margins.sizes


@dataclass(frozen=True)
class Margins:
    """How far products of queries with coded rows may be off, before the level's scale; all (B, L).

    <v, q> is computed from v' = v + r and q' = q + p exactly or summed in float32 in any order (which errs by at most
    about d * u * |v'| |q'|: Higham, Accuracy and Stability of Numerical Algorithms, 3.1; doubled here), and
    multiplied by two scales: |r||q| + |v'||p| + (2 d + 8) u |v'||q'|.

    lengths  |q|, by which what the row has lost, |r|, is multiplied; `lost_by` bounds that
    fixed    the rest
    sizes    the largest |v'||q'|
    """

    lengths: Floats
    fixed: Floats
    sizes: Floats


def margins(question: Question, bounds: Mapping[str, Bounds], scales: Mapping[str, FloatArray] | None) -> Margins:
    """scales  {level: (B,)} of the queries' codes; None where they are not coded"""
    lengths, lost = np.zeros_like(question.weights), np.zeros_like(question.weights)
    for column, spec in enumerate(question.specs):
        rows = question.rows[spec.name]
        lengths[:, column] = np.sqrt(np.einsum("bd,bd->b", rows, rows, dtype=np.float64))
        if scales is not None:
            lost[:, column] = _LOST * np.sqrt(spec.dim) * scales[spec.name]
    own = [bounds[spec.name] for spec in question.specs]
    largest = np.array([bound.norm + bound.residual for bound in own])
    sizes = largest * (lengths + lost)
    roundings = FLOAT32_UNIT * np.array([2 * spec.dim + 8 for spec in question.specs])
    return Margins(lengths, largest * lost + roundings * sizes, sizes)


def coding_error(bounds: Bounds, scales: FloatArray) -> FloatArray:
    """What coding has at most taken from rows with the given scales, as an L2 distance: (n,)."""
    return np.minimum(scales * np.float32(bounds.ratio), np.float32(bounds.residual))


@cache
def exact_products() -> bool:
    """Whether PyTorch multiplies 8-bit matrices exactly here.

    Processors without the instructions for it may add pairs of products in 16 bits, which saturates: the largest
    products show it.
    """
    import torch

    rows = torch.full((64, 256), _MAX_CODE, dtype=torch.int8)
    rows[1::2] = -_MAX_CODE
    for count in (1, 2, 32):
        queries = torch.full((256, count), _MAX_CODE, dtype=torch.int8)
        try:
            found = torch._int_mm(rows, queries)
        except (AttributeError, RuntimeError):
            return False
        if not torch.equal(found.double(), rows.double() @ queries.double()):
            return False
    return True
