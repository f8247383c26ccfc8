"""The hits of questions: many plain ones together, those of several moments, by films or told once one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.search.moments.best_moments import BestMoments, Chain, best_moments
from indexer.search.moments.diversity import Told, apart, told_once
from indexer.search.moments.timeline import Timeline
from indexer.search.question import make_question
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit, LevelScore, SearchResult
from indexer.search.top_k import search_batch
from indexer.store.library import Library
from model.levels import resolve_weights
from quartet.errors import QuartetError
from service.search.batch_ranking import Extra, RankedItems, RankQuery, rank_all, stack
from service.search.part_vectors import Resolved
from service.search.requests import SearchOptions, Stored

_OF_A_FILM = 5
"""Moments that are told of a film."""


def rank_questions(
    library: Library,
    gallery: AnyGallery,
    resolved: Sequence[Resolved | QuartetError],
    wanted: Sequence[SearchOptions],
) -> list[RankedItems | QuartetError]:
    """The hits of every question, or the error that it alone gets."""
    answers: dict[int, RankedItems | QuartetError] = {}
    plain: dict[bool, list[int]] = {True: [], False: []}
    for i, (own, what) in enumerate(zip(resolved, wanted, strict=True)):
        if isinstance(own, QuartetError):
            answers[i] = own
        elif len(own.moments) > 1 or what.films or what.diverse:
            answers[i] = _rank_one(library, gallery, own, what)
        else:
            plain[own.has_sentence].append(i)
    for members in plain.values():
        known = [own for i in members if isinstance(own := resolved[i], Resolved)]
        if known:
            asked = [RankQuery(own.queries[0], wanted[i], left_out(own)) for i, own in zip(members, known, strict=True)]
            answers |= zip(members, rank_all(library, gallery, known[0].specs, asked), strict=True)
    return [answers[i] for i in range(len(resolved))]


def _rank_one(
    library: Library, gallery: AnyGallery, resolved: Resolved, wanted: SearchOptions
) -> RankedItems | QuartetError:
    try:
        return _ranked(library, gallery, resolved, wanted)
    except QuartetError as error:
        return error


def _ranked(library: Library, gallery: AnyGallery, resolved: Resolved, wanted: SearchOptions) -> RankedItems:
    specs = resolved.specs
    weights = resolve_weights(specs, wanted.weights)
    queries = stack(resolved.queries)
    allowed = library.allowed(gallery, wanted.filter)
    without = left_out(resolved)
    timeline = library.timeline()
    if without:
        timeline = timeline.keep(~np.isin(timeline.ids, list(without)))
    found: SearchResult | BestMoments | None = None

    def chains(depth: int) -> list[Chain]:
        nonlocal found
        if wanted.films or len(resolved.moments) > 1:
            question = make_question(specs, queries, weights)
            within = [moment.within for moment in resolved.question.moments]
            found = best_moments(gallery, timeline, question, within, depth, allowed, wanted.films)
            return found.chains
        found = search_batch(gallery, specs, queries, depth + len(without), weights, allowed)[0]
        return [Chain(hit.score, (hit,)) for hit in found.hits if hit.id not in without][:depth]

    if wanted.diverse:
        told = told_once(chains, wanted.depth, timeline, gallery.vectors, specs, wanted.per_video)
    else:
        told = [Told(chain) for chain in chains(wanted.depth)]
    assert found is not None
    told = [
        own
        for own in told[wanted.offset : wanted.depth]
        if wanted.min_score is None or own.chain.score >= wanted.min_score
    ]
    hits = [_as_hit(own.chain) for own in told]
    bound = found.bound if isinstance(found, SearchResult) else None
    result = SearchResult(hits, found.exact, bound, found.candidates, found.took_ms)
    return RankedItems(hits, weights, result, tuple(_extra(own, timeline, wanted) for own in told))


def _extra(told: Told, timeline: Timeline, wanted: SearchOptions) -> Extra:
    chain = told.chain
    if len(chain.hits) > 1:
        return Extra(chain.hits, tuple(told.alike), chain.hits)
    if not wanted.films:
        return Extra((), tuple(told.alike), chain.hits)
    hits = (*chain.hits, *chain.others)
    shown = apart(chain, timeline, wanted.per_video or _OF_A_FILM)
    return Extra(tuple(hits[i] for i in shown), tuple(told.alike), chain.hits)


def _as_hit(chain: Chain) -> Hit:
    """A chain as one hit, under the id of its first clip: the mean of all, level by level."""
    if len(chain.hits) == 1:
        return chain.hits[0]
    levels = {
        name: LevelScore._make(np.mean([hit.levels[name] for hit in chain.hits], axis=0).tolist())
        for name in chain.hits[0].levels
    }
    return Hit(chain.hits[0].id, chain.score, levels)


def left_out(resolved: Resolved) -> frozenset[int]:
    """Clips that the question names as what is wanted: who shows one wants others. Not those that were reacted to."""
    sources = (part.source for part in resolved.question.parts if part.weight > 0 and not part.reaction)
    return frozenset(source.clip_id for source in sources if isinstance(source, Stored))
