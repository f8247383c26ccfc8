"""The hits of questions: many plain ones together, those of several moments, by film, and distinct ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from indexer.search.moment_texts import MomentTexts
from indexer.search.moments.best_moments import BestMoments, Chain, best_moments
from indexer.search.moments.diversity import DistinctChain, apart, distinct_chains
from indexer.search.moments.timeline import Timeline
from indexer.search.question import Question as BatchedQuestion
from indexer.search.question import make_question
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit, LevelScore, SearchResult
from indexer.search.text_evidence import TextEvidence
from indexer.store.library import Library
from model.levels import WORDS
from quartet.errors import QuartetError
from service.search.ranking.batch_ranking import Extra, RankedItems, RankQuery, rank_all, stack
from service.search.ranking.part_vectors import Resolved
from service.search.ranking.text_level import all_weights, query_of, searched
from service.search.requests import SearchOptions, Stored

_OF_A_FILM = 5
"""Moments that are shown of a film."""


def rank_questions(
    library: Library,
    gallery: AnyGallery,
    resolved: Sequence[Resolved | QuartetError],
    wanted: Sequence[SearchOptions],
    texts: TextEvidence | None = None,
) -> list[RankedItems | QuartetError]:
    """The hits of every question, or the error that it alone gets. `texts` raise the clips at their times."""
    answers: dict[int, RankedItems | QuartetError] = {}
    plain: dict[bool, list[int]] = {True: [], False: []}
    for i, (own, what) in enumerate(zip(resolved, wanted, strict=True)):
        if isinstance(own, QuartetError):
            answers[i] = own
        elif len(own.moments) > 1 or what.films or what.diverse:
            answers[i] = _rank_one(library, gallery, own, what, texts)
        else:
            plain[own.has_sentence].append(i)
    for members in plain.values():
        known = [own for i in members if isinstance(own := resolved[i], Resolved)]
        if known:
            asked = [
                RankQuery(own.queries[0], wanted[i], left_out(own), own.phrases)
                for i, own in zip(members, known, strict=True)
            ]
            answers |= zip(members, rank_all(library, gallery, known[0].specs, asked, texts), strict=True)
    return [answers[i] for i in range(len(resolved))]


def _rank_one(
    library: Library, gallery: AnyGallery, resolved: Resolved, wanted: SearchOptions, texts: TextEvidence | None
) -> RankedItems | QuartetError:
    try:
        return _ranked(library, gallery, resolved, wanted, texts)
    except QuartetError as error:
        return error


def _ranked(
    library: Library, gallery: AnyGallery, resolved: Resolved, wanted: SearchOptions, texts: TextEvidence | None
) -> RankedItems:
    specs = resolved.specs
    weights = all_weights(specs, wanted.weights, texts)
    allowed = library.allowed(gallery, wanted.filter)
    without = left_out(resolved)
    timeline = library.timeline()
    if without:
        timeline = timeline.keep(~np.isin(timeline.ids, list(without)))
    found: SearchResult | BestMoments | None = None

    def chains(depth: int) -> list[Chain]:
        nonlocal found
        if wanted.films or len(resolved.moments) > 1:
            question, raised = _of_moments(resolved, weights, texts)
            within = [moment.within for moment in resolved.question.moments]
            found = best_moments(gallery, timeline, question, within, depth, allowed, wanted.films, raised)
            return found.chains
        more = depth + len(without)
        (found,) = searched(library, gallery, specs, resolved.queries, more, weights, wanted.filter, allowed, texts)
        return [Chain(hit.score, (hit,)) for hit in found.hits if hit.id not in without][:depth]

    if wanted.diverse:
        shown_chains = distinct_chains(chains, wanted.depth, timeline, gallery.vectors, specs, wanted.per_video)
    else:
        shown_chains = [DistinctChain(chain) for chain in chains(wanted.depth)]
    assert found is not None
    shown_chains = [
        own
        for own in shown_chains[wanted.offset : wanted.depth]
        if wanted.min_score is None or own.chain.score >= wanted.min_score
    ]
    hits = [_as_hit(own.chain) for own in shown_chains]
    bound = found.bound if isinstance(found, SearchResult) else None
    result = SearchResult(hits, found.exact, bound, found.candidates, found.took_ms)
    extras = tuple(_extra(own, timeline, wanted) for own in shown_chains)
    return RankedItems(hits, weights, result, extras, None if texts is None else texts.spec)


def _of_moments(
    resolved: Resolved, weights: Mapping[str, float], texts: TextEvidence | None
) -> tuple[BatchedQuestion, MomentTexts | None]:
    """The moments of a question as queries, and what texts add to each."""
    specs = resolved.specs
    pictures = {spec.name: weights[spec.name] for spec in specs}
    queries = stack([query_of(specs, query) for query in resolved.queries])
    # Where the pictures weigh nothing they are scored all the same, to be shown.
    question = make_question(specs, queries, pictures if any(pictures.values()) else dict.fromkeys(pictures, 1.0))
    if texts is None or not weights[WORDS]:
        return question, None
    present = [[query[spec.name].any() * pictures[spec.name] for spec in specs] for query in resolved.queries]
    words = np.concatenate([query[WORDS] for query in resolved.queries])
    return question, MomentTexts(texts, words, weights[WORDS], np.array(present, np.float64).sum(axis=1))


def _extra(shown_chains: DistinctChain, timeline: Timeline, wanted: SearchOptions) -> Extra:
    chain = shown_chains.chain
    if len(chain.hits) > 1:
        return Extra(chain.hits, tuple(shown_chains.alike), chain.hits)
    if not wanted.films:
        return Extra((), tuple(shown_chains.alike), chain.hits)
    hits = (*chain.hits, *chain.others)
    shown = apart(chain, timeline, wanted.per_video or _OF_A_FILM)
    return Extra(tuple(hits[i] for i in shown), tuple(shown_chains.alike), chain.hits)


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
