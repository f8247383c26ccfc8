"""What an item can at most score, from what the levels' lists say of it (Fagin, Lotem and Naor, 2001).

A list holds the items with the highest inner products at a level, in their order. An item that is not in it has at
most the product of its last item, or lacks the level. So a list's end bounds every item of the gallery, also those
that are in no list at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.search.question import FLOAT32_UNIT, Floats, Question
from model.levels import LevelSpec

Ids = npt.NDArray[np.int64]

_SLACK = 1e-12
"""Relative: covers the roundings of fused scores in float64."""


@dataclass(frozen=True)
class LevelList:
    """A level's list for one query.

    ids     items, best first; products: their inner products, each off by at most `error`
    ended   whether no other item has the level
    last    the product at the end of the list, where items were taken out of it. None: that of the last item
    """

    ids: Ids
    products: Floats
    error: float
    ended: bool
    last: float | None = None


def product_error(spec: LevelSpec, norm: float, query: npt.NDArray[np.float32]) -> float:
    """How far a float32 inner product of a query with a row of at most the L2 norm `norm` may be off."""
    length = float(np.linalg.norm(query.astype(np.float64)))
    return (2 * spec.dim + 4) * FLOAT32_UNIT * norm * length


def ceilings(question: Question, patterns: npt.NDArray[np.bool_], lists: dict[int, LevelList], ids: Ids) -> Floats:
    """The most that each of the items `ids` can score for one query, -inf for one that cannot be a hit.

    patterns  (P, L): the combinations of levels that items of the gallery have
    lists     per column of the levels that count
    """
    known = np.full((len(ids), len(question.specs)), np.nan)
    for column, listed in lists.items():
        order = np.argsort(listed.ids)
        places = np.searchsorted(listed.ids[order], ids)
        places[places == len(order)] = 0
        if len(order):
            found = listed.ids[order][places] == ids
            known[found, column] = listed.products[order][places[found]] + listed.error
    return _product_bounds(question, patterns, lists, known)


def unseen_ceiling(question: Question, patterns: npt.NDArray[np.bool_], lists: dict[int, LevelList]) -> float | None:
    """The most that an item can score that is in none of the lists; None if no such item can be a hit."""
    most = float(_product_bounds(question, patterns, lists, np.full((1, len(question.specs)), np.nan))[0])
    return None if most == -np.inf else most


def _product_bounds(
    question: Question, patterns: npt.NDArray[np.bool_], lists: dict[int, LevelList], known: Floats
) -> Floats:
    """known (n, L): the most that is known of each product, NaN where the item is not in the level's list."""
    columns = sorted(lists)
    if not columns:
        return np.full(len(known), -np.inf)
    weights = question.weights[0, columns]
    listed = ~np.isnan(known[:, columns])
    last = np.array([_bound_outside(lists[column]) for column in columns])
    products = np.where(listed, known[:, columns], last)
    tops = np.stack([question.specs[c].activate(products[:, i]) for i, c in enumerate(columns)], axis=1)
    most = np.full(len(known), -np.inf)
    for pattern in np.unique(patterns[:, columns], axis=0):
        if not pattern.any():
            continue
        # An item of this pattern is in the list of every level that it has, or beyond that list's end.
        fits = ~(listed & ~pattern).any(axis=1) & (listed | np.isfinite(last) | ~pattern).all(axis=1)
        score = (tops[:, pattern] * weights[pattern]).sum(axis=1) / weights[pattern].sum()
        most[fits] = np.maximum(most[fits], score[fits])
    return most + _SLACK * (1 + np.where(np.isfinite(most), np.abs(most), 0.0))


def _bound_outside(listed: LevelList) -> float:
    """The most that a product outside of the list can be; -inf if there is none outside."""
    if listed.ended:
        return -np.inf
    return (float(listed.products[-1]) if listed.last is None else listed.last) + listed.error
