"""Many questions to one gallery, answered together where they ask for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from indexer.search.remote_gallery import AnyGallery
from indexer.search.text_evidence import TextEvidence
from indexer.search.top_k import Hit, SearchResult
from indexer.store.library import Library
from model.levels import FloatArray, LevelSpec, Vectors
from quartet.errors import NotFoundError, QuartetError
from quartet.schemas.search import MAX_RERANKED
from service.search.ranking.second_look import SecondLook, look_again_at, require_frames
from service.search.ranking.text_level import all_weights, searched
from service.search.requests import SearchOptions


@dataclass(frozen=True)
class RankQuery:
    """One query: a row per level, and what is wanted of it. `without` are items that are not hits; `phrases` by level
    are compared with frames."""

    query: Vectors
    wanted: SearchOptions
    without: frozenset[int] = frozenset()
    phrases: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many hits have to be found."""
        return MAX_RERANKED if self.wanted.rerank else self.wanted.depth + len(self.without)


@dataclass(frozen=True)
class Extra:
    """What a hit is made of or stands for.

    moments  the clips of its chain, or the best of its film, in the order of time
    alike    clips that it stands for
    chain    a clip for each moment of the question
    """

    moments: tuple[Hit, ...]
    alike: tuple[int, ...]
    chain: tuple[Hit, ...]


@dataclass(frozen=True)
class RankedItems:
    """The hits that were asked for, the weights that ranked them, and the search that they came from.

    extras  one for each hit, or none at all
    words   the level of texts, where they count
    looked  what a second look has done, if there was one
    """

    hits: list[Hit]
    weights: dict[str, float]
    found: SearchResult
    extras: tuple[Extra, ...] = ()
    words: LevelSpec | None = None
    looked: SecondLook | None = None


def rank_all(
    library: Library,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    asked: Sequence[RankQuery],
    texts: TextEvidence | None = None,
) -> list[RankedItems | QuartetError]:
    """An answer for every query, or the error that it alone gets. `texts` raise the clips at their times."""
    answers: dict[int, RankedItems | QuartetError] = {}
    groups: dict[object, list[int]] = {}
    for i, one in enumerate(asked):
        wanted = one.wanted
        options = one.depth, wanted.rerank, tuple(sorted(wanted.weights.items())), wanted.filter
        groups.setdefault(options, []).append(i)
    for members in groups.values():
        alike = [asked[i] for i in members]
        answers |= zip(members, _rank_same_options(library, gallery, specs, alike, texts), strict=True)
    return [answers[i] for i in range(len(asked))]


def _rank_same_options(
    library: Library,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    asked: Sequence[RankQuery],
    texts: TextEvidence | None,
) -> Sequence[RankedItems | QuartetError]:
    first = asked[0]
    try:
        if first.wanted.rerank:
            require_frames(gallery)
        weights = all_weights(specs, first.wanted.weights, texts)
        allowed = library.allowed(gallery, first.wanted.filter)
        queries = [one.query for one in asked]
        found = searched(library, gallery, specs, queries, first.depth, weights, first.wanted.filter, allowed, texts)
    except QuartetError as error:
        if len(asked) == 1:
            return [error]
        # One of them may be to blame: the others still get their answers.
        return [_rank_same_options(library, gallery, specs, [one], texts)[0] for one in asked]
    words = None if texts is None else texts.spec
    pages = []
    for one, result in zip(asked, found, strict=True):
        shown, looked = result, None
        if one.wanted.rerank:
            shown, looked = look_again_at(
                gallery, specs, one.query, one.phrases, result, weights, texts, one.wanted.depth
            )
        pages.append(replace(_page_of(one, shown, weights), words=words, looked=looked))
    return pages


def _page_of(asked: RankQuery, found: SearchResult, weights: dict[str, float]) -> RankedItems:
    """What was asked for of what was found."""
    wanted = asked.wanted
    hits = [hit for hit in found.hits if hit.id not in asked.without][wanted.offset : wanted.depth]
    if wanted.min_score is not None:
        hits = [hit for hit in hits if hit.score >= wanted.min_score]
    return RankedItems(hits, weights, found)


def as_cosines(specs: Sequence[LevelSpec]) -> list[LevelSpec]:
    """Levels that compare two clips. No head was trained to score those, so all are cosines."""
    return [replace(spec, activation="identity", scale=1.0, bias=0.0) for spec in specs]


def hits_of(ranked: RankedItems | QuartetError) -> Sequence[Hit]:
    return () if isinstance(ranked, QuartetError) else ranked.hits


def clips_of(ranked: RankedItems | QuartetError) -> list[tuple[Hit, ...]]:
    """Of each hit the clips that it is made of: one for each moment of its question."""
    if isinstance(ranked, QuartetError):
        return []
    return [extra.chain for extra in ranked.extras] if ranked.extras else [(hit,) for hit in ranked.hits]


def shown_at(ranked: RankedItems, moment: int) -> list[Hit]:
    """The clips that are shown for a moment of the question: of films all of their moments."""
    if not ranked.extras:
        return ranked.hits
    several = len(ranked.extras[0].chain) > 1
    shown = [extra.chain[moment : moment + 1] if several else (*extra.chain, *extra.moments) for extra in ranked.extras]
    return list({hit.id: hit for own in shown for hit in own}.values())


def ids_of(ranked: Sequence[RankedItems | QuartetError]) -> list[int]:
    """All hits and their moments, each once."""
    ids = {hit.id for own in ranked for hit in hits_of(own)}
    extras = (extra for own in ranked if isinstance(own, RankedItems) for extra in own.extras)
    return sorted(ids.union(*({hit.id for hit in (*extra.moments, *extra.chain)} for extra in extras)))


def no_clip(clip_id: int) -> NotFoundError:
    return NotFoundError(f"There is no clip {clip_id} in this library.")


def vectors_of(gallery: AnyGallery, ids: Sequence[int]) -> Vectors:
    """Stored vectors of hits."""
    return gallery.vectors(np.asarray(ids, dtype=np.int64))


def contains(gallery: AnyGallery, item: int) -> bool:
    """Whether an item is in this generation."""
    return item in gallery


def row(vectors: Mapping[str, npt.NDArray[np.float32]], i: int) -> Vectors:
    """The vectors of one item: {level: (1, d_l)}."""
    return {level: np.ascontiguousarray(rows[i : i + 1]) for level, rows in vectors.items()}


def stack(parts: Sequence[Mapping[str, npt.NDArray[np.float32]]]) -> Vectors:
    """The vectors of several items, one after the other."""
    return {level: np.concatenate([part[level] for part in parts]) for level in parts[0]}
