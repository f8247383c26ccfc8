"""The true order of a few rows: 8 bits, then float32, to drop those out of reach, and float64 for the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from indexer.gallery import Gallery
from indexer.question import FLOAT32_UNIT, Floats, Question, fused_error
from indexer.result import Hit, LevelScore
from model.levels import FloatArray

_FEW = 64
"""So many rows are scored in float64 at once."""

Positions = npt.NDArray[np.int64]


def rank(gallery: Gallery, question: Question, rows: Positions, k: int) -> list[Hit]:
    """The first k of `rows` (ascending) for one query, by true score, ties by lower id."""
    for coded in (True, False):
        if len(rows) > max(_FEW, 2 * k):
            rows = _within_reach(gallery, question, rows, k, coded)
    raw = np.zeros((len(rows), len(question.specs)))
    for column, spec in enumerate(question.specs):
        stored = gallery.rows(spec.name, rows).astype(np.float64)
        raw[:, column] = (stored * question.rows[spec.name][0]).sum(axis=1)
    return hits_of(question, gallery.row_ids[rows], gallery.present[rows], raw, k)


def _within_reach(gallery: Gallery, question: Question, rows: Positions, k: int, coded: bool) -> Positions:
    """The rows that, by their float32 scores and the bound on their rounding, may be among the first k.

    coded  score what their 8-bit codes stand for: a quarter of the bytes, in memory that a search has in use anyhow
    """
    total, norm = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    raw, sizes = np.zeros_like(question.weights), np.zeros_like(question.weights)
    for column, spec in question.used:
        weight = np.float32(question.weights[0, column])
        query: FloatArray = question.rows[spec.name][0]
        present = gallery.present[rows, column]
        scores = spec.activate((gallery.coded_rows if coded else gallery.rows)(spec.name, rows) @ query)
        total += np.where(present, weight * scores, np.float32(0))
        norm += weight * present
        length = float(np.linalg.norm(query.astype(np.float64)))
        lost = gallery.largest_residual(spec.name) if coded else 0.0
        sizes[0, column] = (gallery.largest_norm(spec.name) + lost) * length
        raw[0, column] = lost * length + (2 * spec.dim + 4) * FLOAT32_UNIT * sizes[0, column]
    error = float(fused_error(question, raw, sizes, gallery.complete)[0])
    shared = norm > 0
    rows, fused = rows[shared], total[shared] / norm[shared]
    if len(rows) <= k:
        return rows
    last = float(np.partition(fused, len(fused) - k)[len(fused) - k])
    return rows[fused >= last - 2 * error]


def hits_of(question: Question, ids: Positions, present: npt.NDArray[np.bool_], raw: Floats, k: int) -> list[Hit]:
    """The first k of n items for one query, from their inner products.

    ids (n,) ascending, present (n, L): whether an item has a level, raw (n, L)
    """
    specs = question.specs
    present = present & [question.rows[spec.name].any() for spec in specs]
    weight = np.where(present, question.weights[0], 0.0)
    total = weight.sum(axis=1, keepdims=True)
    activated = np.stack([spec.activate(raw[:, column]) for column, spec in enumerate(specs)], axis=1)
    activation = np.where(present, activated, 0.0)
    contribution = np.divide(weight * activation, total, out=np.zeros_like(weight), where=total > 0)
    score = contribution.sum(axis=1)
    # Items are in ascending order of id, and a stable sort keeps that order among equals.
    order = np.argsort(-score, kind="stable")
    best = order[total[order, 0] > 0][:k]
    # Python's numbers all at once: one by one they are what takes time in a batch.
    parts = np.stack([raw, activation, weight, contribution], axis=-1)[best].tolist()
    return [
        Hit(own, value, {spec.name: LevelScore(*part) for spec, part in zip(specs, levels, strict=True)})
        for own, value, levels in zip(ids[best].tolist(), score[best].tolist(), parts, strict=True)
    ]
