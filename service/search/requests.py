"""What a request asks for, between the JSON of the API and the search."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import NamedTuple

from indexer.search.filters import ClipFilter
from model.encoder import Frames
from quartet.schemas.search import ClipRequest, Filter, SearchRequest


@dataclass(frozen=True)
class Wanted:
    """Hits number `offset` to `offset + k`, best first, that score at least `min_score`.

    weights  of levels; those that are left out keep the model's
    filter   which clips may be hits; None: all
    explain  also say how the answer was found
    sort     the order of the hits that were found: "score", "time" or "date"
    asked    when the request came, by `time.perf_counter`
    """

    k: int = 10
    offset: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: ClipFilter | None = None
    min_score: float | None = None
    explain: bool = False
    sort: str = "score"
    asked: float = field(default_factory=time.perf_counter)

    @property
    def depth(self) -> int:
        """How many hits have to be found."""
        return self.offset + self.k

    @property
    def words(self) -> str | None:
        """Exact words that hits must have."""
        return None if self.filter is None else self.filter.words


def wanted(request: SearchRequest) -> Wanted:
    """What the JSON of a request asks for. Raises InputError if its time range is empty or a tag is none."""
    of_clips = request if isinstance(request, ClipRequest) else None
    return Wanted(
        k=request.k,
        offset=request.offset,
        weights=request.weights,
        filter=clip_filter(of_clips.filter if of_clips else None),
        min_score=request.min_score,
        explain=request.explain,
        sort=of_clips.sort if of_clips else "score",
    )


def clip_filter(given: Filter | None) -> ClipFilter | None:
    """A filter of the API as the indexer understands it. Raises InputError as `wanted` does."""
    if given is None:
        return None
    return ClipFilter(
        video_ids=None if given.video_ids is None else frozenset(given.video_ids),
        start=given.start,
        end=given.end,
        tags=frozenset(given.tags or ()),
        path=given.path,
        after=_seconds(given.after),
        before=_seconds(given.before),
        shortest=given.shortest,
        longest=given.longest,
        words=given.words,
        languages=frozenset(given.languages or ()),
        has_text=given.has_text,
        after_clip=given.after_clip,
    )


def _seconds(moment: date | datetime | None) -> float | None:
    """Seconds since 1970. A date is its first moment; without a zone it is UTC."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time_of_day.min)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Sentences(NamedTuple):
    """Clips for each of several sentences."""

    texts: tuple[str, ...]
    wanted: Wanted


class OfClip(NamedTuple):
    """Captions or clips for a clip of the library."""

    clip_id: int
    wanted: Wanted


class OfFrames(NamedTuple):
    """Captions for a clip that is not in the library, from its sampled frames."""

    frames: Frames
    wanted: Wanted
