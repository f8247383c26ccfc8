"""The rows of a large gallery that are worth scoring, by FAISS's fast scan of 4-bit codes (Andre, Kermarrec and Le
Scouarnec, 2017; `IndexPQFastScan`).

All levels are read in one pass: the codes of an item's levels are side by side, so that

    sum_l w_l act_l(a_l <v_l, q_l> + b_l)  is about  <(v_1 .. v_L), (c_1 q_1 .. c_L q_L)> + constant

where c_l = w_l a_l of a level without activation. A sigmoid is taken for its tangent where the best rows of the level
are, which some rows show. What is proposed is scored by `ranking`, so only which rows are looked at is approximate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.search.question import Floats, Question
from indexer.search.survivors import Positions
from indexer.search.threads import cores, threads
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.joint_codes import JointCodes, Part
from indexer.search.vectors.product_codes import fast_scan_queries, fill
from model.levels import FloatArray, LevelSpec

_DEPTH, _PER_HIT = 400, 10
"""Rows that are proposed, or so many for each hit that is asked for."""

_OVERSAMPLING = 1.5
"""Of what a filter leaves, this many times as much as is needed is asked for."""

_MIN_ROWS_PER_CANDIDATE = 20
"""Proposing more than one row in so many costs as much as an exact scan."""

_ROWS_PER_THREAD = 1 << 18
"""Rows that are worth another thread for one query: two milliseconds."""

_TANGENT_QUANTILE = 0.999
"""The quantile of a level's scores at which a sigmoid's tangent is taken."""

_MIN_SLOPE = 0.02
"""A sigmoid's slope is taken to be at least this (1/4 is its largest): where it is flat its order still counts."""


def depth_for(k: int, count: int, rows: int) -> int | None:
    """How many rows to propose for k hits, where `count` of all rows may be hits; None: scanning is better."""
    wanted = wanted_for(k)
    depth = wanted if count == rows else math.ceil(_OVERSAMPLING * wanted * rows / max(count, 1))
    return depth if depth <= rows // _MIN_ROWS_PER_CANDIDATE else None


def wanted_for(k: int) -> int:
    """How many rows a search for k hits must at least have to score."""
    return max(_DEPTH, _PER_HIT * k)


@dataclass(frozen=True)
class Proposal:
    """rows: those worth scoring for a query, ascending; complete: no other row shares a level that counts with it."""

    rows: Positions
    complete: bool


def propose(gallery: Gallery, question: Question, depth: int) -> list[Proposal]:
    """For each query the `depth` rows that its codes say are the best; removed rows may be among them."""
    codes = gallery.joint_codes
    lines = _Lines.of(question, [own for _, own in codes if own.parts])
    work = [(start, part) for start, own in codes for part in own.parts]

    # All segments of a gallery have the same codebooks.
    kinds = {part.columns: part for _, part in work}
    asked = {columns: lines.joined(part) for columns, part in kinds.items()}

    def look_up(item: tuple[int, Part]) -> tuple[Floats, npt.NDArray[np.int64]]:
        start, part = item
        queries, constants = asked[part.columns]
        scores, places = part.index.search(queries, min(depth, len(part.rows)))
        if len(part.rows) <= depth:
            _add_lowest(scores, places)
        found = (places >= 0) & np.isfinite(constants)[:, None]
        rows = np.where(found, start + part.rows[np.where(found, places, 0)], -1)
        return np.where(found, scores + constants[:, None], -np.inf), rows

    # FAISS gives every core its share of a batch, but one query a single core: then many parts go side by side.
    apart = len(question) == 1 and cores() > 1 and len(gallery.row_ids) >= _ROWS_PER_THREAD
    answers = list((threads().map if apart else map)(look_up, work))
    if not answers:
        return [Proposal(np.zeros(0, np.int64), True)] * len(question)
    scores, rows = (np.concatenate(several, axis=1) for several in zip(*answers, strict=True))
    sharing = np.sum([len(part.rows) * lines.shared(part.columns) for _, part in work], axis=0)
    return [
        Proposal(_best(own, numbers, depth), bool(count <= depth))
        for own, numbers, count in zip(scores, rows, sharing, strict=True)
    ]


def _add_lowest(scores: FloatArray, places: npt.NDArray[np.int64]) -> None:
    """FAISS leaves out rows that have the lowest score that its 8-bit tables can give: put them at the end."""
    for own, found in zip(scores, places, strict=True):
        missing = np.setdiff1d(np.arange(len(found)), found)
        if len(missing):
            found[len(found) - len(missing) :] = missing
            own[len(found) - len(missing) :] = np.finfo(np.float32).min


def _best(scores: Floats, rows: npt.NDArray[np.int64], depth: int) -> Positions:
    if len(scores) > depth:
        rows = rows[np.argpartition(-scores, depth)[:depth]]
    return np.sort(rows[rows >= 0])


@dataclass(frozen=True)
class _Lines:
    """Every level's score as a line of its inner product: slopes * <v, q> + offsets, (B, L) each."""

    question: Question
    slopes: Floats
    offsets: Floats

    @classmethod
    def of(cls, question: Question, codes: Sequence[JointCodes]) -> _Lines:
        slopes, offsets = np.zeros_like(question.weights), np.zeros_like(question.weights)
        for column, spec in question.used:
            if spec.activation == "sigmoid":
                largest = max(codes, key=lambda own: len(own.sample(column)), default=None)
                sample = np.zeros((0, spec.dim), np.float32) if largest is None else largest.sample(column)
                slopes[:, column], offsets[:, column] = _tangent(spec, question.rows[spec.name], sample)
            else:
                slopes[:, column], offsets[:, column] = spec.scale, spec.bias
        return cls(question, slopes, offsets)

    def shared(self, columns: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Which queries share a level that counts with rows that have the levels `columns`: (B,)."""
        return np.asarray(self.question.weights[:, list(columns)].any(axis=1))

    def joined(self, part: Part) -> tuple[FloatArray, Floats]:
        """The queries for rows like those of a part (B, D), and what is added (B,); -inf: nothing shared."""
        own = list(part.columns)
        weights = self.question.weights[:, own]
        total = weights.sum(axis=1, keepdims=True)
        shares = weights / np.where(total > 0, total, 1.0)
        factors = shares * self.slopes[:, own]
        names = [self.question.specs[column].name for column in own]
        parts = [fill(self.question.rows[name] * factors[:, [i]].astype(np.float32)) for i, name in enumerate(names)]
        constants = np.where(total[:, 0] > 0, (shares * self.offsets[:, own]).sum(axis=1), -np.inf)
        return fast_scan_queries(part.tables, np.concatenate(parts, axis=1)), constants


def _tangent(spec: LevelSpec, queries: FloatArray, sample: FloatArray) -> tuple[Floats, Floats]:
    """Slope and offset (B,) of a sigmoid's tangent where the best of the sample are."""
    if not len(sample):
        return np.full(len(queries), spec.scale / 4), np.zeros(len(queries))
    raw = np.quantile(queries @ sample.T, _TANGENT_QUANTILE, axis=1).astype(np.float64)
    score = spec.activate(raw)
    slope = spec.scale * np.maximum(score * (1 - score), _MIN_SLOPE)
    return slope, score - slope * raw
