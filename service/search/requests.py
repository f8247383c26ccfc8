"""What a request asks for, between the JSON of the API and the search."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from indexer.search.filters import ClipFilter
from model.encoder import Frames
from quartet.schemas.search import ClipRequest, Filter, SearchRequest


@dataclass(frozen=True)
class SearchOptions:
    """Hits number `offset` to `offset + k`, best first, that score at least `min_score`.

    weights  of levels; those that are left out keep the model's
    filter   which clips may be hits; None: all
    explain  also say how the answer was found
    asked    when the request came, by `time.perf_counter`
    """

    k: int = 10
    offset: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: ClipFilter | None = None
    min_score: float | None = None
    explain: bool = False
    asked: float = field(default_factory=time.perf_counter)

    @property
    def depth(self) -> int:
        """How many hits have to be found."""
        return self.offset + self.k


def search_options(request: SearchRequest) -> SearchOptions:
    """What the JSON of a request asks for. Raises InputError if its time range is empty or a tag is none."""
    given = request.filter if isinstance(request, ClipRequest) else None
    return SearchOptions(
        request.k, request.offset, request.weights, clip_filter(given), request.min_score, request.explain
    )


def clip_filter(given: Filter | None) -> ClipFilter | None:
    """A filter of the API as the indexer understands it. Raises InputError as `wanted` does."""
    if given is None:
        return None
    ids = None if given.video_ids is None else frozenset(given.video_ids)
    return ClipFilter(ids, given.start, given.end, frozenset(given.tags or ()))


class SentenceQueries(NamedTuple):
    """Clips for each of several sentences."""

    texts: tuple[str, ...]
    wanted: SearchOptions


class ClipQuery(NamedTuple):
    """Captions or clips for a clip of the library."""

    clip_id: int
    wanted: SearchOptions


class FramesQuery(NamedTuple):
    """Captions for a clip that is not in the library, from its sampled frames."""

    frames: Frames
    wanted: SearchOptions
