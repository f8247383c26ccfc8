"""The true order of the rows that a search has found: 8 bits, to drop those out of reach, and float64 for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from indexer.search.question import Floats, Question, own_error
from indexer.search.result import Hit, LevelScore
from indexer.search.survivors import Positions, Survivors, kth_largest
from indexer.search.vectors.codes import coding_error, margins
from indexer.search.vectors.gallery import Gallery
from model.levels import Vectors

_ROWS_AT_ONCE = 32
"""So many rows of a query are scored in float64 at once."""

_BLOCK = 1 << 13
"""Rows that are held in float64 at a time."""


def rank(
    gallery: Gallery, question: Question, found: Sequence[Survivors], k: int, explain: bool = True
) -> list[list[Hit]]:
    """For each query the first k of its rows, by true score, ties by lower id.

    Of many rows the likeliest are scored first. Often most of the others cannot reach the k-th of those any more.
    """
    divided = [_split_likely(own, k) for own in _within_code_bounds(gallery, question, found, k)]
    owner, rows = _concatenate([head for head, _ in divided])
    raw = _products(gallery, question, owner, rows)
    scored = Scored(question, owner, gallery.row_ids[rows], gallery.present[rows], raw)
    if any(len(tail.rows) for _, tail in divided):
        reach = [kth_largest(scored.scores[owner == i], k) for i in range(len(question))]
        later = _concatenate([tail.within(least).rows for (_, tail), least in zip(divided, reach, strict=True)])
        raw = np.concatenate([raw, _products(gallery, question, *later)])
        owner, rows = np.concatenate([owner, later[0]]), np.concatenate([rows, later[1]])
        scored = Scored(question, owner, gallery.row_ids[rows], gallery.present[rows], raw)
    return scored.best(k, explain)


def hits_of(question: Question, ids: Positions, present: npt.NDArray[np.bool_], raw: Floats, k: int) -> list[Hit]:
    """The first k of n items for one query, from their inner products.

    ids (n,), present (n, L): whether an item has a level, raw (n, L)
    """
    return Scored(question, np.zeros(len(ids), np.int64), ids, present, raw).best(k)[0]


def _split_likely(found: Survivors, k: int) -> tuple[Positions, Survivors]:
    """The rows to score at once, and the others."""
    if found.low is None or found.high is None or len(found.rows) <= max(_ROWS_AT_ONCE, 2 * k):
        none = np.zeros(0, np.float32)
        return found.rows, Survivors(found.rows[:0], none, none)
    likely = np.zeros(len(found.rows), np.bool_)
    likely[np.argpartition(-(found.low + found.high), 2 * k)[: 2 * k]] = True
    rest = ~likely
    return found.rows[likely], Survivors(found.rows[rest], found.low[rest], found.high[rest])


def _within_code_bounds(gallery: Gallery, question: Question, found: Sequence[Survivors], k: int) -> list[Survivors]:
    """Of many rows those that, by their 8-bit codes, may be among the first k.

    The codes are a quarter of the bytes, in memory that a search has in use anyhow.
    """
    many = [i for i, own in enumerate(found) if own.low is None and len(own.rows) > max(_ROWS_AT_ONCE, 2 * k)]
    if not many:
        return list(found)
    limits = _limits(gallery, question, [found[i].rows if i in many else found[i].rows[:0] for i in range(len(found))])
    return [limits[i].within(limits[i].least(k)) if i in many else own for i, own in enumerate(found)]


def _limits(gallery: Gallery, question: Question, rows: Sequence[Positions]) -> list[Survivors]:
    """Between what rows score for each query, by their 8-bit codes; without those that share no level with it."""
    off = margins(question, gallery.bounds, None)
    own = own_error(question, off.sizes, off.sizes)
    found = []
    for query, some in enumerate(rows):
        low, high, norm = np.zeros((3, len(some)))
        for column, spec in question.used:
            weight = question.weights[query, column] * gallery.present[some, column]
            codes, scales = gallery.coded_rows(spec.name, some)
            products = (codes @ question.rows[spec.name][query]) * scales
            reach = (
                coding_error(gallery.bounds[spec.name], scales) * off.lengths[query, column] + off.fixed[query, column]
            )
            low += weight * (spec.activate(products - reach) - own[query, column])
            high += weight * (spec.activate(products + reach) + own[query, column])
            norm += weight
        shared = norm > 0
        found.append(Survivors(some[shared], low[shared] / norm[shared], high[shared] / norm[shared]))
    return found


def _concatenate(rows: Sequence[Positions]) -> tuple[Positions, Positions]:
    """The rows of all queries, one after the other, and the query of each."""
    return np.repeat(np.arange(len(rows)), [len(own) for own in rows]), np.concatenate(rows)


def _products(gallery: Gallery, question: Question, owner: Positions, rows: Positions) -> Floats:
    """The inner products (R, L) of each row with its query."""
    raw = np.zeros((len(rows), len(question.specs)))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        for column, spec in enumerate(question.specs):
            if question.rows[spec.name].any():
                products = gallery.rows(spec.name, rows[part]).astype(np.float64)
                products *= question.rows[spec.name][owner[part]]
                raw[part, column] = products.sum(axis=1)
    return raw


class Scored:
    """R items that are scored on all levels, each for one query.

    owner, ids, scores                     (R,): number of the query, the item, its fused score; -inf if the two share
                                           no level that counts
    raw, activation, weight, contribution  (R, L): see `LevelScore`
    """

    def __init__(
        self, question: Question, owner: Positions, ids: Positions, present: npt.NDArray[np.bool_], raw: Floats
    ) -> None:
        """present (R, L): whether an item has a level."""
        specs = question.specs
        asked = np.stack([question.rows[spec.name].any(axis=1) for spec in specs], axis=1)
        present = present & asked[owner]
        activated = np.stack([spec.activate(raw[:, column]) for column, spec in enumerate(specs)], axis=1)
        self._question, self.ids, self._owner, self._raw = question, ids, owner, raw
        self._activation = np.where(present, activated, 0.0)
        self._weight = np.where(present, question.weights[owner], 0.0)
        total = self._weight.sum(axis=1, keepdims=True)
        shared = total > 0
        self._contribution = self._weight * self._activation / np.where(shared, total, 1.0)
        self.scores = np.where(shared[:, 0], self._contribution.sum(axis=1), -np.inf)

    @classmethod
    def over(cls, parts: Sequence[Scored]) -> Scored:
        """The items of several together, all of one question."""
        if len(parts) == 1:
            return parts[0]
        whole = cls.__new__(cls)
        whole._question = parts[0]._question
        for name in ("ids", "_owner", "_raw", "_activation", "_weight", "_contribution", "scores"):
            setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
        return whole

    def best(self, k: int, explain: bool = True) -> list[list[Hit]]:
        """The first k of each query, by score, ties by lower id; `explain`: with their levels."""
        order = np.lexsort((self.ids, -self.scores, self._owner))
        order = order[self.scores[order] > -np.inf]
        owner = self._owner[order]
        chosen = order[np.arange(len(order)) - np.searchsorted(owner, owner) < k]
        hits: list[list[Hit]] = [[] for _ in range(len(self._question))]
        scored = self.hits(chosen) if explain else self._bare(chosen)
        for query, hit in zip(self._owner[chosen].tolist(), scored, strict=True):
            hits[query].append(hit)
        return hits

    def _bare(self, chosen: Positions) -> list[Hit]:
        return [Hit(*own, {}) for own in zip(self.ids[chosen].tolist(), self.scores[chosen].tolist(), strict=True)]

    def hits(self, chosen: Positions) -> list[Hit]:
        """Some of the items, by their places."""
        # Python's numbers all at once: one by one they are what takes time in a batch.
        weight = self._weight[chosen] * self._question.unit
        parts = (self._raw[chosen], self._activation[chosen], weight, self._contribution[chosen])
        names = [spec.name for spec in self._question.specs]
        return [
            Hit(own, score, dict(zip(names, map(LevelScore._make, levels), strict=True)))
            for own, score, levels in zip(
                self.ids[chosen].tolist(),
                self.scores[chosen].tolist(),
                np.stack(parts, axis=-1).tolist(),
                strict=True,
            )
        ]


def score_items(question: Question, ids: Positions, vectors: Vectors) -> Scored:
    """Items with their stored vectors at all levels, scored for one query."""
    raw = np.zeros((len(ids), len(question.specs)))
    present = np.zeros(raw.shape, dtype=np.bool_)
    for column, spec in enumerate(question.specs):
        stored = vectors[spec.name].astype(np.float64)
        raw[:, column] = (stored * question.rows[spec.name][0]).sum(axis=1)
        present[:, column] = stored.any(axis=1)
    return Scored(question, np.zeros(len(ids), np.int64), ids, present, raw)
