"""Between what every clip scores for a question: from compact rows, or from the list of another engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.search.exact.exhaustive import row_limits
from indexer.search.filters import ClipFilter
from indexer.search.moments.timeline import Timeline
from indexer.search.question import Floats, Question
from indexer.search.remote_gallery import AnyGallery, RemoteGallery
from indexer.search.survivors import Positions
from indexer.search.vectors.gallery import Gallery

_MAX_HITS = 16_384
"""Hits that another engine gives at most (Milvus)."""


@dataclass(frozen=True)
class ScoreLimits:
    """What the clips of `timeline` score at least and most for each of M queries: (M, n), -inf for those that cannot.

    exact  whether these limits are proven
    """

    timeline: Timeline
    low: Floats
    high: Floats
    exact: bool


def score_limits(
    gallery: AnyGallery, timeline: Timeline, question: Question, filter: Positions | ClipFilter | None
) -> ScoreLimits:
    """For the clips of the timeline that are in the gallery and that the filter keeps."""
    if isinstance(gallery, Gallery):
        assert not isinstance(filter, ClipFilter), "Only another engine has the columns of the catalogue."
        return _of_files(gallery, timeline, question, filter)
    return _of_engine(gallery, timeline, question, filter)


def _of_files(gallery: Gallery, timeline: Timeline, question: Question, filter: Positions | None) -> ScoreLimits:
    low, high = row_limits(gallery, question)
    if gallery.alive is None and filter is None and np.array_equal(gallery.row_ids, timeline.ids):
        return ScoreLimits(timeline, low, high, exact=True)
    places, known = _places(gallery.row_ids, timeline.ids)
    if gallery.alive is not None:
        known[known] = gallery.alive[places[known]]
    if filter is not None:
        known &= np.isin(timeline.ids, filter)
    if not known.all():
        timeline, places = timeline.keep(known), places[known]
    return ScoreLimits(timeline, low[:, places], high[:, places], exact=True)


def _of_engine(
    gallery: RemoteGallery, timeline: Timeline, question: Question, filter: Positions | ClipFilter | None
) -> ScoreLimits:
    depth = max(1, min(len(gallery), _MAX_HITS))
    results = gallery.answer(question, depth, filter, True)
    low, high = np.full((2, len(question), len(timeline)), -np.inf)
    for query, result in enumerate(results):
        ids = np.array([hit.id for hit in result.hits], np.int64)
        order = np.argsort(ids)
        places, known = _places(ids[order], timeline.ids)
        scores = np.array([hit.score for hit in result.hits])[order]
        if len(ids) == depth < len(gallery):
            high[query] = result.hits[-1].score if result.bound is None else result.bound
        low[query, known] = high[query, known] = scores[places[known]]
    return ScoreLimits(timeline, low, high, exact=all(result.exact for result in results))


def _places(ascending: Positions, ids: Positions) -> tuple[Positions, npt.NDArray[np.bool_]]:
    """Where each of `ids` stands, and whether it is there."""
    if not len(ascending):
        return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    places = np.minimum(np.searchsorted(ascending, ids), len(ascending) - 1)
    return places, ascending[places] == ids
