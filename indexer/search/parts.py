"""A question of several parts, folded into one query vector per level, and what each part gave to a hit.

Inner products are linear: sum_p w_p <v, q_p> = <v, sum_p w_p q_p>. So any number of parts, wanted (w_p > 0) or not
(w_p < 0), costs one search, and bounds and certificates are those of any other query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.search.question import Floats
from indexer.search.result import Hit
from model.levels import LevelSpec, Vectors
from quartet.errors import InputError


@dataclass(frozen=True)
class Part:
    """rows: its query vectors, {level: (1, d_l)}, zeros where it has nothing at a level; weight: not 0."""

    rows: Vectors
    weight: float = 1.0


def fold(specs: Sequence[LevelSpec], parts: Sequence[Part]) -> Vectors:
    """One query vector per level, {level: (1, d_l)} float32: the weighted sum of the parts.

    Divided by the sum of the weights above 0, so that a question of equal parts is that part; without such weights
    by the sum of their sizes. Raises InputError if the parts cancel each other out.
    """
    shares = part_shares(parts)
    rows = {
        spec.name: sum(
            (share * part.rows[spec.name].astype(np.float64) for share, part in zip(shares, parts, strict=True)),
            np.zeros((1, spec.dim)),
        ).astype(np.float32)
        for spec in specs
    }
    if len(parts) > 1 and not any(row.any() for row in rows.values()) and any(_says(part) for part in parts):
        raise InputError("The parts of this question cancel each other out. Change a part or its weight.")
    return rows


def part_shares(parts: Sequence[Part]) -> list[float]:
    """What each part is multiplied by."""
    wanted = sum(part.weight for part in parts if part.weight > 0)
    total = wanted or sum(abs(part.weight) for part in parts)
    return [part.weight / total for part in parts]


def contributions(
    specs: Sequence[LevelSpec], parts: Sequence[Part], hits: Sequence[Hit], vectors: Vectors
) -> tuple[Floats, Floats]:
    """What each part gave to the score of each hit (H, P), and what a hit scores without any (H,); they add up.

    vectors  the stored vectors of the hits, {level: (H, d_l)}
    Of a level act(z_1 + ... + z_P + b) part p gave z_p (act(z + b) - act(b)) / z with z = z_1 + ... + z_P: its share
    along the straight line from nothing to the question (Aumann and Shapley, 1974). For the identity that is z_p.
    """
    shares = part_shares(parts)
    given, base = np.zeros((len(hits), len(parts))), np.zeros(len(hits))
    weights = np.array([[hit.levels[spec.name].weight for spec in specs] for hit in hits]).reshape(len(hits), -1)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    for column, spec in enumerate(specs):
        rows = vectors[spec.name].astype(np.float64)
        raw = np.stack([share * (rows @ part.rows[spec.name][0]) for share, part in zip(shares, parts, strict=True)], 1)
        total = raw.sum(axis=1)
        floor = spec.activate(np.zeros(1))[0]
        gained = spec.activate(total) - floor
        # Where the parts cancel out, the slope at nothing is what the quotient tends to.
        slope = spec.scale * (floor * (1 - floor) if spec.activation == "sigmoid" else 1.0)
        rate = np.where(np.abs(total) > 1e-9, gained / np.where(total == 0, 1.0, total), slope)
        given += (weights[:, column] * rate)[:, None] * raw
        base += weights[:, column] * floor
    return given, base


def _says(part: Part) -> bool:
    return any(row.any() for row in part.rows.values())
