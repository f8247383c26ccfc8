"""What a request asks for, between the JSON of the API and the search."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from indexer.search.filters import ClipFilter
from indexer.store.served_generation import ServedGeneration
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
    """Clips for each of several sentences. `generation` is which has to answer; None: the one that is live then."""

    texts: tuple[str, ...]
    wanted: SearchOptions
    generation: ServedGeneration | None = None


class ClipQuery(NamedTuple):
    """Captions or clips for a clip of the library."""

    clip_id: int
    wanted: SearchOptions


class FramesQuery(NamedTuple):
    """Captions for a clip that is not in the library, from its sampled frames."""

    frames: Frames
    wanted: SearchOptions


_UNIT = 64
"""Characters of a short sentence. Parsing and encoding take time in proportion to the length."""


def cost_of(text: str) -> int:
    """What answering a sentence costs, in units of a short one."""
    return 1 + len(text) // _UNIT


def cut_by_cost(texts: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """`texts` in parts that cost at most `most` each, or hold one text."""
    parts: list[list[str]] = []
    cost = 0
    for text in texts:
        if not parts or cost + cost_of(text) > most:
            parts.append([])
            cost = 0
        parts[-1].append(text)
        cost += cost_of(text)
    return [tuple(part) for part in parts]
