"""Many questions to one gallery, answered together where they ask for the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.search.remote_gallery import AnyGallery
from indexer.search.text_evidence import TextEvidence
from indexer.search.top_k import Hit, SearchResult
from indexer.store.library import Library
from model.levels import LevelSpec, Vectors
from quartet.errors import QuartetError
from service.search.requests import Wanted
from service.search.text_level import all_weights, searched


@dataclass(frozen=True)
class Asked:
    """One query: a row per level, and what is wanted of it. `without` is an item that is no hit."""

    query: Vectors
    wanted: Wanted
    without: int | None = None


@dataclass(frozen=True)
class Ranked:
    """The hits that were asked for, the weights that ranked them, and the search that they came from.

    `words` is the level of texts, where there are any.
    """

    hits: list[Hit]
    weights: dict[str, float]
    found: SearchResult
    words: LevelSpec | None = None


def rank_all(
    library: Library,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    asked: Sequence[Asked],
    texts: TextEvidence | None = None,
) -> list[Ranked | QuartetError]:
    """An answer for every query, or the error that it alone gets. `texts` raise clips at whose time they are told."""
    answers: dict[int, Ranked | QuartetError] = {}
    groups: dict[object, list[int]] = {}
    for i, one in enumerate(asked):
        wanted = one.wanted
        depth = wanted.depth + (one.without is not None)
        groups.setdefault((depth, tuple(sorted(wanted.weights.items())), wanted.filter), []).append(i)
    for members in groups.values():
        alike = [asked[i] for i in members]
        answers |= zip(members, _rank_alike(library, gallery, specs, alike, texts), strict=True)
    return [answers[i] for i in range(len(asked))]


def _rank_alike(
    library: Library,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    asked: Sequence[Asked],
    texts: TextEvidence | None,
) -> Sequence[Ranked | QuartetError]:
    first = asked[0]
    try:
        weights = all_weights(specs, first.wanted.weights, texts)
        allowed = library.allowed(gallery, first.wanted.filter)
        depth = first.wanted.depth + (first.without is not None)
        found = searched(
            library, gallery, specs, [one.query for one in asked], depth, weights, first.wanted.filter, allowed, texts
        )
    except QuartetError as error:
        if len(asked) == 1:
            return [error]
        # One of them may be to blame: the others still get their answers.
        return [_rank_alike(library, gallery, specs, [one], texts)[0] for one in asked]
    words = None if texts is None else texts.spec
    return [replace(_cut(one, result, weights), words=words) for one, result in zip(asked, found, strict=True)]


def _cut(asked: Asked, found: SearchResult, weights: dict[str, float]) -> Ranked:
    """What was asked for of what was found."""
    wanted = asked.wanted
    hits = [hit for hit in found.hits if hit.id != asked.without][wanted.offset : wanted.depth]
    if wanted.min_score is not None:
        hits = [hit for hit in hits if hit.score >= wanted.min_score]
    return Ranked(hits, weights, found)


def as_cosines(specs: Sequence[LevelSpec]) -> list[LevelSpec]:
    """Levels that compare two clips. No head was trained to score those, so all are cosines."""
    return [replace(spec, activation="identity", scale=1.0, bias=0.0) for spec in specs]


def vectors_of(gallery: AnyGallery, ids: Sequence[int]) -> Vectors:
    """Stored vectors of hits."""
    return gallery.vectors(np.asarray(ids, dtype=np.int64))


def contains(gallery: AnyGallery, item: int) -> bool:
    """Whether an item is in this generation."""
    return item in gallery
