"""Half-precision rows on an accelerator: what a scan on a GPU reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from indexer.search.question import FLOAT32_UNIT, Floats, Question
from indexer.search.vectors.codes import Bounds
from indexer.search.vectors.segment import Segment
from model.levels import FloatArray, LevelSpec

if TYPE_CHECKING:
    import torch

_HALF_UNIT = 2.0**-11
"""Unit roundoff of float16."""

_BLOCK = 1 << 16
"""Rows converted at a time."""


_held: WeakValueDictionary[tuple[str, int, int], torch.Tensor] = WeakValueDictionary()
"""Rows that some gallery of this process has on a device, by the file that they come from. A generation mostly keeps
the segments of the previous one, which go on answering while it is opened: those are not copied once more."""


def half_rows(segment: Segment, level: str, device: str) -> torch.Tensor:
    """The rows of one level as float16 (n, d) on `device`, times a power of two that brings norms below 1.

    The smallest numbers then lose little below float16's normal range, and no product of two rows overflows. The same
    tensor for every segment that is made of the same file.
    """
    key = (device, *segment.file_id(level))
    rows = _held.get(key)
    if rows is None:
        rows = _held[key] = _copied(segment, level, device)
    return rows


def missing_bytes(segments: Iterable[Segment], device: str) -> int:
    """What the rows of segments need on a device that it does not have yet."""
    return sum(
        2 * len(segment) * segment.dim(name)
        for segment in segments
        for name in segment.bounds
        if (device, *segment.file_id(name)) not in _held
    )


def held_bytes(device: str) -> int:
    """What the rows of all galleries take on a device."""
    return sum(rows.nbytes for (place, *_), rows in list(_held.items()) if place == device)


def _copied(segment: Segment, level: str, device: str) -> torch.Tensor:
    import torch

    n = len(segment)
    exponent = _exponent(segment.bounds[level])
    out = torch.empty((n, segment.dim(level)), dtype=torch.float16, device=device)
    for start in range(0, n, _BLOCK):
        rows = segment.rows(level, np.arange(start, min(start + _BLOCK, n), dtype=np.int64))
        # In float32 this rounds nothing that float16 would show.
        out[start : start + len(rows)] = torch.from_numpy(np.ldexp(rows, exponent).astype(np.float16)).to(device)
    return out


class HalfProducts:
    """Inner products of B queries with the half-precision rows of one level of a segment."""

    def __init__(self, spec: LevelSpec, queries: FloatArray, rows: torch.Tensor, bounds: Bounds) -> None:
        import torch

        scaled, exponents = _scaled(queries)
        self._rows = rows
        self._queries = torch.from_numpy(scaled.astype(np.float16)).to(rows.device)
        back = np.ldexp(spec.scale, -exponents - _exponent(bounds)).astype(np.float32)
        self._factors = torch.from_numpy(back).to(rows.device).unsqueeze(1)

    def __call__(self, first: int, last: int) -> torch.Tensor:
        """The level's scale times the inner products of rows `first` to `last`: (B, last - first) float32."""
        return (self._queries @ self._rows[first:last].T).float().mul_(self._factors)


def half_errors(question: Question, bounds: dict[str, Bounds]) -> tuple[Floats, Floats]:
    """How far `HalfProducts` may be off, before the level's scale, and the largest magnitudes: (B, L) each.

    <v, q> is computed from v' = v + r and q' = q + p, summed in float32 in any order (which errs by at most about
    d * u * |v'| |q'|: Higham, Accuracy and Stability of Numerical Algorithms, 3.1; doubled here), and rounded to
    float16 at the end: |r||q| + |v'||p| + 2 d u |v'||q'| + 2^-11 |v'||q'|. The last rounding is by at most 2^-25
    below float16's normal range, where the scaling leaves |v'||q'| >= 1/4 to the largest row: 2^-23 more.
    A number of v is rounded by at most 2^-11 of itself, or by 2^-25 below the normal range, before it is scaled back.
    """
    raw, sizes = np.zeros_like(question.weights), np.zeros_like(question.weights)
    for column, spec in enumerate(question.specs):
        norm = bounds[spec.name].norm
        residual = _HALF_UNIT * norm + float(np.ldexp(2.0**-25 * np.sqrt(spec.dim), -_exponent(bounds[spec.name])))
        exact, exponents = _scaled(question.rows[spec.name])
        lost = np.ldexp(np.linalg.norm(exact.astype(np.float16) - exact, axis=1), -exponents)
        query = np.linalg.norm(question.rows[spec.name].astype(np.float64), axis=1)
        sizes[:, column] = (norm + residual) * (query + lost)
        raw[:, column] = residual * query + (norm + residual) * lost
        raw[:, column] += (2 * spec.dim * FLOAT32_UNIT + 1.01 * _HALF_UNIT + 2.0**-23) * sizes[:, column]
    return raw, sizes


def _exponent(bounds: Bounds) -> int:
    return -int(np.frexp(bounds.norm)[1]) if bounds.norm else 0


def _scaled(queries: FloatArray) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Queries times powers of two, so that their norms are in [1/2, 1), and the exponents."""
    exponents = -np.frexp(np.linalg.norm(queries.astype(np.float64), axis=1))[1].astype(np.int64)
    return np.ldexp(queries.astype(np.float64), exponents[:, None]), exponents
