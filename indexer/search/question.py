"""A batch of queries, checked and resolved: which level counts how much for which query."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from model.levels import FloatArray, LevelSpec, Vectors, resolve_weights
from quartet.errors import InputError

FLOAT32_UNIT = float(np.finfo(np.float32).eps) / 2
"""Unit roundoff of float32: the relative error of one operation."""

_MIN_EXPONENT = -1022
"""Of float64: below it there is no power of two with all of its digits."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """B queries over L levels.

    rows     one (B, d_l) float32 array per level
    weights  (B, L): w_l / unit, 0 where the query lacks the level; every row has a weight above 0
    unit     the power of two that brings the largest weight into [1, 2): no float32 sum of weights overflows or
             vanishes, and dividing by it rounds nothing
    """

    specs: tuple[LevelSpec, ...]
    rows: Vectors
    weights: Floats
    unit: float = 1.0

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[Question]:
        """Its queries, one at a time."""
        for i in range(len(self)):
            rows = {name: array[i : i + 1] for name, array in self.rows.items()}
            yield Question(self.specs, rows, self.weights[i : i + 1], self.unit)

    @cached_property
    def used(self) -> list[tuple[int, LevelSpec]]:
        """(column, level) of the levels that count for at least one query: no other is ever read."""
        return [(column, spec) for column, spec in enumerate(self.specs) if self.weights[:, column].any()]


def make_question(specs: Sequence[LevelSpec], queries: Vectors, weights: Mapping[str, float]) -> Question:
    """Check the shapes of B queries and resolve their weights.

    Raises InputError for wrong shapes, numbers that are not finite, or a query with no level left.
    """
    rows = {spec.name: _level_rows(spec, queries) for spec in specs}
    counts = {len(array) for array in rows.values()}
    if len(counts) != 1:
        raise InputError(f"The levels disagree on the number of queries: {sorted(counts)}.")
    resolved = resolve_weights(specs, weights)
    present = np.stack([rows[spec.name].any(axis=1) for spec in specs], axis=1)
    effective = present * np.array([resolved[spec.name] for spec in specs])
    if not effective.any(axis=1).all():
        lacking = ", ".join(name for name, weight in resolved.items() if weight)
        raise InputError(
            f"The query has no words for the levels with a weight above 0 ({lacking}). Use other words, or "
            "raise the weight of another level."
        )
    unit = math.ldexp(1.0, max(math.frexp(max(resolved.values()))[1] - 1, _MIN_EXPONENT))
    return Question(tuple(specs), rows, effective / unit, unit)


def _level_rows(spec: LevelSpec, queries: Vectors) -> FloatArray:
    if spec.name not in queries:
        raise InputError(f"The query has no vector for level {spec.name!r}.")
    rows = np.ascontiguousarray(queries[spec.name], dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != spec.dim:
        raise InputError(f"The {spec.name} query must have the shape (1, {spec.dim}), not {rows.shape}.")
    if not np.isfinite(rows).all():
        raise InputError(f"The {spec.name} query contains NaN or infinity.")
    return rows


def slope(spec: LevelSpec) -> float:
    """The most that a level's activation changes per unit of inner product."""
    return spec.scale / 4 if spec.activation == "sigmoid" else spec.scale


def own_error(question: Question, raw: Floats, sizes: Floats) -> Floats:
    """What the float32 arithmetic after the inner products adds to the error of a fused score, per level: (B, L).

    The sigmoid and the weighted mean: at most 16 roundings per level of numbers of this size.
    """
    bases = np.array([abs(spec.bias) + 1 for spec in question.specs])
    scales = np.array([spec.scale for spec in question.specs])
    return 16 * len(question.specs) * FLOAT32_UNIT * (scales * (sizes + raw) + bases)


def fused_error(question: Question, raw: Floats, sizes: Floats, complete: npt.NDArray[np.bool_]) -> Floats:
    """How far float32 fused scores may be off, per query (B,), from the errors of their inner products.

    raw       (B, L) bounds on the errors of the inner products
    sizes     (B, L) bounds on their magnitudes
    complete  (L,) whether every item has the level
    The activation stretches an error by its slope. A fused score is a mean over the levels that an item has:
    it errs by at most the weighted mean of the levels if every item has those, else by at most the worst of them.
    To this come a few roundings of its own.
    """
    slopes = np.array([slope(spec) for spec in question.specs])
    worst = np.where(question.weights > 0, raw * slopes + own_error(question, raw, sizes), 0.0)
    if complete[question.weights.any(axis=0)].all():
        return (worst * question.weights).sum(axis=1) / question.weights.sum(axis=1)
    return worst.max(axis=1)
