"""The best clips, films or chains of clips, exactly: whatever the compact rows leave within reach is scored in float64.

A chain has one clip for each moment of a question, and scores their mean. There is one for each clip that can be the
last: its best. A question of one moment has chains of one clip. Films are ranked by their best chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexer.search.filters import ClipFilter
from indexer.search.moments.chains import chain_ending_with, prefixes, suffixes
from indexer.search.moments.score_limits import ScoreLimits, score_limits
from indexer.search.moments.timeline import Timeline
from indexer.search.question import Floats, Question
from indexer.search.ranking import Scored, score_items
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit
from indexer.search.survivors import Positions, kth_largest
from indexer.search.threads import threads
from quartet.errors import InputError

_BLOCK = 1 << 13
"""Clips that are held in float64 at a time."""

_SLACK = 1e-9
"""Relative: covers the roundings of sums in float64."""

TIMELINE = 48
"""Of a film that is found, so many of its best clips are scored."""


class TextRaise(Protocol):
    """Texts that raise the scores of clips at each moment (`moment_texts.py`)."""

    def limits(self, ids: Positions, low: Floats, high: Floats) -> tuple[Floats, Floats, bool]:
        """What clips score at least and most, from what they do without texts: (M, n) each; whether it is proven."""
        ...

    def scores(self, moment: int, ids: Positions, scores: Floats) -> Floats:
        """What clips score at a moment, from what they do without texts: (n,)."""
        ...

    def raised(self, moment: int, hits: list[Hit]) -> list[Hit]:
        """Hits of a moment, with what a text gave to each."""
        ...


@dataclass(frozen=True)
class Chain:
    """A clip for each moment, in order; score: the mean of theirs. others: more of the best clips of its film."""

    score: float
    hits: tuple[Hit, ...]
    others: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class BestMoments:
    """Chains, best first.

    exact       no chain that is not among them has a higher score than the last; of films the same
    candidates  how many clips were scored in float64
    took_ms     by stage
    """

    chains: list[Chain]
    exact: bool
    candidates: int
    took_ms: dict[str, float]


def best_moments(
    gallery: AnyGallery,
    timeline: Timeline,
    question: Question,
    within: Sequence[float],
    k: int,
    filter: Positions | ClipFilter | None = None,
    films: bool = False,
    texts: TextRaise | None = None,
) -> BestMoments:
    """The k best chains for a question with a query per moment; with `films` the k best films, each by its best chain.

    within  (M,): seconds at most from the end of the clip before to the beginning of the next; the first is not used
    filter  as of `top_k.search`: which clips may be part of a chain
    texts   raise the scores of clips
    Ties go to the chain whose last clip has the lower id, those of films to the lower id of the video. Raises
    InputError for k < 1.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}.")
    began = perf_counter()
    limits = score_limits(gallery, timeline, question, filter)
    if texts is not None:
        low, high, exact = texts.limits(limits.timeline.ids, limits.low, limits.high)
        limits = ScoreLimits(limits.timeline, low, high, limits.exact and exact)
    scanned = perf_counter()
    needed = _within_reach(limits, within, k, films)
    some = np.asarray(needed.any(axis=0))
    timeline, needed = limits.timeline.keep(some), needed[:, some]
    scored = [
        _scored(gallery, query, timeline.ids[own], texts, moment)
        for moment, (query, own) in enumerate(zip(question, needed, strict=True))
    ]
    scores = np.full(needed.shape, -np.inf)
    for moment, own in enumerate(scored):
        scores[moment, needed[moment]] = own.scores
    found = _best(timeline, scores, within, k, films)
    windows = [timeline.before(seconds) for seconds in within]
    places = np.cumsum(needed, axis=1) - 1
    chains = []
    for _, last in found.ends:
        clips = chain_ending_with(timeline, found.sums, windows, last)
        hits = [
            own.hits(places[moment, clip : clip + 1])[0]
            for moment, (own, clip) in enumerate(zip(scored, clips, strict=True))
        ]
        chains.append(Chain(sum(hit.score for hit in hits) / len(hits), tuple(hits)))
    if films and len(question) == 1:
        chains = _with_others(gallery, limits, question, chains, texts)
    laps = {"scan": (scanned - began) * 1e3, "rank": (perf_counter() - scanned) * 1e3}
    return BestMoments(chains, limits.exact, int(needed.sum()), laps)


def _within_reach(limits: ScoreLimits, within: Sequence[float], k: int, films: bool) -> npt.NDArray[np.bool_]:
    """Which clips may, at each moment, be part of a chain that is among the first k: (M, n)."""
    timeline = limits.timeline
    if not len(timeline):
        return np.zeros(limits.low.shape, np.bool_)
    # Two threads share it: most of it is NumPy on long rows, which needs no lock of the interpreter.
    low, high = threads().map(lambda scores: prefixes(timeline, scores, within), (limits.low, limits.high))
    least = low[-1]
    if films:
        best = np.maximum.reduceat(least, timeline.first_of_video)
        # Of a film that is among the first k only its best chain is wanted.
        reach = np.maximum(best, kth_largest(best, k))[timeline.video_numbers]
    else:
        reach = np.full(len(timeline), kth_largest(least, k))
    reach = np.where(np.isfinite(reach), reach - _SLACK * (1 + np.abs(reach)), reach)
    if len(high) == 1:
        return (high >= reach) & (high > -np.inf)
    # Few videos have a chain within reach: of their clips the most that a chain scores that each is part of.
    near = np.maximum.reduceat((high[-1] >= reach) & (high[-1] > -np.inf), timeline.first_of_video)
    mine = near[timeline.video_numbers]
    most = limits.high[:, mine]
    with np.errstate(invalid="ignore"):  # of clips that cannot be a moment, for which no comparison holds
        through = high[:, mine] + suffixes(timeline.keep(mine), most, within) - most
    needed = np.zeros(high.shape, np.bool_)
    needed[:, mine] = (through >= reach[mine]) & (through > -np.inf)
    return needed


@dataclass(frozen=True)
class _Ends:
    sums: Floats
    ends: list[tuple[float, int]]


def _best(timeline: Timeline, scores: Floats, within: Sequence[float], k: int, films: bool) -> _Ends:
    """The sums of all chains, and of the best k the sum and the last clip."""
    sums = prefixes(timeline, scores, within)
    ends = np.flatnonzero(sums[-1] > -np.inf)
    order = ends[np.lexsort((timeline.ids[ends], -sums[-1][ends]))]
    if films:
        # The first of each film in this order, then films that tie by their ids.
        _, first = np.unique(timeline.videos[order], return_index=True)
        order = order[np.sort(first)]
        order = order[np.lexsort((timeline.videos[order], -sums[-1][order]))]
    return _Ends(sums, [(float(sums[-1][end]), int(end)) for end in order[:k]])


def _with_others(
    gallery: AnyGallery, limits: ScoreLimits, question: Question, chains: Sequence[Chain], texts: TextRaise | None
) -> list[Chain]:
    """Each film with its best clips after the best, in the order of their scores."""
    timeline, low, high = limits.timeline, limits.low[0], limits.high[0]
    bounds = np.append(timeline.first_of_video, len(timeline))
    films = timeline.video_numbers[timeline.places(np.array([chain.hits[0].id for chain in chains], np.int64))]
    found = []
    for film, chain in zip(films.tolist(), chains, strict=True):
        mine = np.arange(bounds[film], bounds[film + 1])
        mine = mine[(high[mine] >= kth_largest(low[mine], TIMELINE)) & (high[mine] > -np.inf)]
        ids = np.sort(timeline.ids[mine])
        own = _scored(gallery, question, ids, texts, 0)
        best = np.lexsort((ids, -own.scores))
        hits = own.hits(best[own.scores[best] > -np.inf][:TIMELINE])
        found.append(Chain(chain.score, chain.hits, tuple(hit for hit in hits if hit.id != chain.hits[0].id)))
    return found


@dataclass(frozen=True)
class _ScoredClips:
    """Clips that are scored in float64 for one moment; scores: (n,), by pictures and texts."""

    pictures: Scored
    scores: Floats
    texts: TextRaise | None
    moment: int

    def hits(self, places: Positions) -> list[Hit]:
        hits = self.pictures.hits(places)
        return hits if self.texts is None else self.texts.raised(self.moment, hits)


def _scored(
    gallery: AnyGallery, question: Question, ids: Positions, texts: TextRaise | None, moment: int
) -> _ScoredClips:
    """Clips, scored in float64 for one query."""
    parts = [ids[start : start + _BLOCK] for start in range(0, len(ids), _BLOCK)] or [ids]
    scored = Scored.over([score_items(question, part, gallery.vectors(part)) for part in parts])
    scores = scored.scores if texts is None else texts.scores(moment, ids, scored.scores)
    return _ScoredClips(scored, scores, texts, moment)
