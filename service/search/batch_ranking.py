"""Many questions to one gallery, answered together where they ask for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from indexer.search.remote_gallery import AnyGallery
from indexer.search.top_k import Hit, SearchResult, search_batch
from indexer.store.library import Library
from model.levels import LevelSpec, Vectors, resolve_weights
from quartet.errors import QuartetError
from service.search.requests import SearchOptions


@dataclass(frozen=True)
class RankQuery:
    """One query: a row per level, and what is wanted of it. `without` is an item that is no hit."""

    query: Vectors
    wanted: SearchOptions
    without: int | None = None


@dataclass(frozen=True)
class RankedItems:
    """The hits that were asked for, the weights that ranked them, and the search that they came from."""

    hits: list[Hit]
    weights: dict[str, float]
    found: SearchResult


def rank_all(
    library: Library, gallery: AnyGallery, specs: Sequence[LevelSpec], asked: Sequence[RankQuery]
) -> list[RankedItems | QuartetError]:
    """An answer for every query, or the error that it alone gets."""
    answers: dict[int, RankedItems | QuartetError] = {}
    groups: dict[object, list[int]] = {}
    for i, one in enumerate(asked):
        wanted = one.wanted
        depth = wanted.depth + (one.without is not None)
        groups.setdefault((depth, tuple(sorted(wanted.weights.items())), wanted.filter), []).append(i)
    for members in groups.values():
        answers |= zip(members, _rank_same_options(library, gallery, specs, [asked[i] for i in members]), strict=True)
    return [answers[i] for i in range(len(asked))]


def _rank_same_options(
    library: Library, gallery: AnyGallery, specs: Sequence[LevelSpec], asked: Sequence[RankQuery]
) -> Sequence[RankedItems | QuartetError]:
    first = asked[0]
    try:
        weights = resolve_weights(specs, first.wanted.weights)
        allowed = library.allowed(gallery, first.wanted.filter)
        depth = first.wanted.depth + (first.without is not None)
        found = search_batch(gallery, specs, _stack([one.query for one in asked]), depth, weights, allowed)
    except QuartetError as error:
        if len(asked) == 1:
            return [error]
        # One of them may be to blame: the others still get their answers.
        return [_rank_same_options(library, gallery, specs, [one])[0] for one in asked]
    return [_page_of(one, result, weights) for one, result in zip(asked, found, strict=True)]


def _page_of(asked: RankQuery, found: SearchResult, weights: dict[str, float]) -> RankedItems:
    """What was asked for of what was found."""
    wanted = asked.wanted
    hits = [hit for hit in found.hits if hit.id != asked.without][wanted.offset : wanted.depth]
    if wanted.min_score is not None:
        hits = [hit for hit in hits if hit.score >= wanted.min_score]
    return RankedItems(hits, weights, found)


def as_cosines(specs: Sequence[LevelSpec]) -> list[LevelSpec]:
    """Levels that compare two clips. No head was trained to score those, so all are cosines."""
    return [replace(spec, activation="identity", scale=1.0, bias=0.0) for spec in specs]


def vectors_of(gallery: AnyGallery, ids: Sequence[int]) -> Vectors:
    """Stored vectors of hits."""
    return gallery.vectors(np.asarray(ids, dtype=np.int64))


def contains(gallery: AnyGallery, item: int) -> bool:
    """Whether an item is in this generation."""
    return item in gallery


def _stack(parts: Sequence[Mapping[str, npt.NDArray[np.float32]]]) -> Vectors:
    return {level: np.concatenate([part[level] for part in parts]) for level in parts[0]}
