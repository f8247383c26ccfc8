"""Fused top-k over the levels of a gallery: exact, by scanning every row.

    score(query, item) = sum_l w_l * act_l(a_l * <v_l, q_l> + b_l) / sum_l w_l     over the levels both have

Each level is scanned in float32. The scan's rounding is bounded, and every item that could be among the first
k within that bound is scored again in float64, so that the order, ties included, is the true one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from indexer.gallery import Gallery
from model.errors import InputError
from model.levels import LevelSpec, Vectors, resolve_weights

_UNIT = float(np.finfo(np.float32).eps) / 2
"""Unit roundoff of float32: the relative error of one operation."""


@dataclass(frozen=True)
class LevelScore:
    """What one level gave to a hit. A level that the query or the item lacks, or weighs 0, contributes 0.

    raw is the inner product, activation act_l(a_l * raw + b_l) (both 0 where a side lacks the level),
    weight w_l, contribution its part of the score: contributions add up to the score.
    """

    raw: float
    activation: float
    weight: float
    contribution: float


@dataclass(frozen=True)
class Hit:
    id: int
    score: float
    levels: dict[str, LevelScore]


@dataclass(frozen=True)
class SearchResult:
    """The best items, best first.

    exact       no item that is not a hit has a higher score than the last hit
    bound       for approximate answers, what an unseen item could still score; None where all were seen
    candidates  how many items were scored
    took_ms     milliseconds per stage
    """

    hits: list[Hit]
    exact: bool
    bound: float | None
    candidates: int
    took_ms: dict[str, float]


def search(
    gallery: Gallery, specs: Sequence[LevelSpec], query: Vectors, k: int, weights: Mapping[str, float]
) -> SearchResult:
    """The k items of `gallery` with the highest fused score for `query`, ties by lower id.

    query    one row per level, {level: (1, d_l)}; a row of zeros means that the query lacks the level
    weights  overrides of the levels' default weights; levels that are missing on a side drop out and the rest
             renormalise, so an item that shares no weighted level with the query is never a hit
    Raises InputError for k < 1, wrong shapes, a query that is not finite, or no level left with a weight.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}.")
    rows = {spec.name: _query_row(spec, query) for spec in specs}
    resolved = resolve_weights(specs, weights)
    effective = {name: weight if rows[name].any() else 0.0 for name, weight in resolved.items()}
    if not any(effective.values()):
        lacking = ", ".join(name for name, weight in resolved.items() if weight)
        raise InputError(
            f"The query has nothing at the levels with a weight above 0 ({lacking}). "
            "Use other words, or give another level a weight."
        )
    began = perf_counter()
    used = [(column, spec) for column, spec in enumerate(specs) if effective[spec.name] > 0]
    scores, error = _scan(gallery, used, rows, effective)
    chosen = _within_reach(scores, k, error)
    scanned = perf_counter()
    hits = _rank(gallery, specs, rows, effective, chosen)[:k]
    done = perf_counter()
    took = {"scan": (scanned - began) * 1e3, "rank": (done - scanned) * 1e3}
    return SearchResult(hits, exact=True, bound=None, candidates=len(gallery), took_ms=took)


def _query_row(spec: LevelSpec, query: Vectors) -> npt.NDArray[np.float32]:
    if spec.name not in query:
        raise InputError(f"The query has no vector for level {spec.name!r}.")
    row = np.asarray(query[spec.name], dtype=np.float32)
    if row.shape != (1, spec.dim):
        raise InputError(f"The {spec.name} query must have the shape (1, {spec.dim}), not {row.shape}.")
    if not np.isfinite(row).all():
        raise InputError(f"The {spec.name} query holds a number that is not finite.")
    return row[0]


def _scan(
    gallery: Gallery,
    used: Sequence[tuple[int, LevelSpec]],
    rows: Mapping[str, npt.NDArray[np.float32]],
    weights: Mapping[str, float],
) -> tuple[npt.NDArray[np.float32], float]:
    """float32 scores of all items, -inf where no level is shared, and a bound on their rounding error.

    A sum of d products in any order errs by at most about d * u * |v| |q| (Higham, Accuracy and Stability of
    Numerical Algorithms, 3.1); the activation stretches that by its slope. The fused score is a mean of the
    levels, so it errs by at most the worst level and a few roundings of its own.
    """
    total = np.zeros(len(gallery), dtype=np.float32)
    norm = np.zeros(len(gallery), dtype=np.float32)
    error = 0.0
    for column, spec in used:
        weight = np.float32(weights[spec.name])
        raw = gallery.inner_products(spec.name, rows[spec.name])
        present = gallery.present[:, column]
        activation = spec.activate(raw)
        total += np.where(present, weight * activation, np.float32(0))
        norm += weight * present
        slope = spec.scale / 4 if spec.activation == "sigmoid" else spec.scale
        length = gallery.max_norms[spec.name] * float(np.linalg.norm(rows[spec.name].astype(np.float64)))
        size = spec.scale * length + abs(spec.bias) + 1
        error = max(error, slope * 2 * spec.dim * _UNIT * length + 16 * len(used) * _UNIT * size)
    scores = np.full(len(gallery), -np.inf, dtype=np.float32)
    np.divide(total, norm, out=scores, where=norm > 0)
    return scores, error


def _within_reach(scores: npt.NDArray[np.float32], k: int, error: float) -> npt.NDArray[np.int64]:
    """Row numbers, ascending, of every item whose true score may be among the first k."""
    k = min(k, len(scores))
    if k == 0:
        return np.zeros(0, dtype=np.int64)
    last = float(np.partition(scores, len(scores) - k)[len(scores) - k])
    return np.flatnonzero((scores >= last - 2 * error) & (scores > -np.inf))


def _rank(
    gallery: Gallery,
    specs: Sequence[LevelSpec],
    rows: Mapping[str, npt.NDArray[np.float32]],
    weights: Mapping[str, float],
    chosen: npt.NDArray[np.int64],
) -> list[Hit]:
    """Hits for row numbers, scored in float64, best first."""
    raw = np.zeros((len(chosen), len(specs)))
    activation = np.zeros_like(raw)
    weight = np.zeros_like(raw)
    for column, spec in enumerate(specs):
        present = gallery.present[chosen, column] & rows[spec.name].any()
        stored = gallery.rows(spec.name, chosen).astype(np.float64)
        raw[:, column] = (stored * rows[spec.name]).sum(axis=1)
        activation[:, column] = np.where(present, spec.activate(raw[:, column]), 0.0)
        weight[:, column] = np.where(present, weights[spec.name], 0.0)
    contribution = weight * activation / weight.sum(axis=1, keepdims=True)
    score = contribution.sum(axis=1)
    # Rows are in ascending order of id, and a stable sort keeps that order among equals.
    order = np.argsort(-score, kind="stable")
    return [
        Hit(
            id=int(gallery.ids[chosen[i]]),
            score=float(score[i]),
            levels={
                spec.name: LevelScore(
                    float(raw[i, c]), float(activation[i, c]), float(weight[i, c]), float(contribution[i, c])
                )
                for c, spec in enumerate(specs)
            },
        )
        for i in order
    ]
