"""What a request asks for, between the JSON of the API and the search."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import NamedTuple

from indexer.search.filters import ClipFilter
from indexer.store.served_generation import ServedGeneration
from model.encoder import Frames
from model.levels import Vectors
from quartet.errors import InputError, NotFoundError
from quartet.schemas import question as schemas
from quartet.schemas.search import MAX_RERANKED, ClipBatchSearch, ClipRequest, ClipSearch, Filter, SearchRequest

MORE_LIKE, LESS_LIKE = 1.0, 0.5
"""What the hits that were liked, and those that were not, weigh together. A sentence weighs 1."""


@dataclass(frozen=True)
class SearchOptions:
    """Hits number `offset` to `offset + k`, best first, that score at least `min_score`.

    weights  of levels; those that are left out keep the model's
    filter   which clips may be hits; None: all
    explain  also say how the answer was found
    films    rank videos by their best moments, each once
    diverse  leave out hits that repeat a better one
    per_video  hits of one video at most with `diverse`, or moments shown of each with `films`
    sort     the order of the hits that were found: "score", "time" or "date"
    rerank   score the best of them again by the vectors of their frames
    asked    when the request came, by `time.perf_counter`
    """

    k: int = 10
    offset: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: ClipFilter | None = None
    min_score: float | None = None
    explain: bool = False
    films: bool = False
    diverse: bool = False
    per_video: int | None = None
    sort: str = "score"
    rerank: bool = False
    asked: float = field(default_factory=time.perf_counter)

    @property
    def depth(self) -> int:
        """How many hits have to be found."""
        return self.offset + self.k

    @property
    def words(self) -> str | None:
        """Exact words that hits must have."""
        return None if self.filter is None else self.filter.words


def search_options(request: SearchRequest) -> SearchOptions:
    """What the JSON of a request asks for.

    Raises InputError if its time range is empty, a tag is not valid, or `rerank` goes with more hits than it covers.
    """
    of_clips = request if isinstance(request, ClipRequest) else None
    rerank = isinstance(request, ClipSearch | ClipBatchSearch) and request.rerank
    if rerank and (last := request.offset + request.k) > MAX_RERANKED:
        raise InputError(f"With rerank, offset and k together are at most {MAX_RERANKED}, not {last}.")
    common = SearchOptions(
        k=request.k,
        offset=request.offset,
        weights=request.weights,
        filter=clip_filter(of_clips.filter if of_clips else None),
        min_score=request.min_score,
        explain=request.explain,
        sort=of_clips.sort if of_clips else "score",
        rerank=rerank,
    )
    if not isinstance(request, ClipSearch):
        return common
    return replace(common, films=request.group == "video", diverse=request.diverse, per_video=request.per_video)


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


class Sentence(NamedTuple):
    text: str


class Stored(NamedTuple):
    """A clip of the library."""

    clip_id: int


class Uploaded(NamedTuple):
    """A video, a stretch of it or a picture that is not in the library: gallery vectors, {level: (1, d_l)}."""

    name: str
    vectors: Vectors


@dataclass(frozen=True)
class Part:
    """One part of a question.

    weight    above 0 for what is wanted, below for what is not
    reaction  whether it is a reaction to an earlier hit
    """

    source: Sentence | Stored | Uploaded
    weight: float = 1.0
    reaction: bool = False


@dataclass(frozen=True)
class Moment:
    """What has to be seen at once. within: seconds from the end of the moment before to the beginning of this one."""

    parts: tuple[Part, ...]
    within: float = 0.0


@dataclass(frozen=True)
class Question:
    """What has to be seen, and what then, in the same video. Most questions have one moment."""

    moments: tuple[Moment, ...]

    @classmethod
    def of(cls, text: str) -> Question:
        """One sentence."""
        return cls((Moment((Part(Sentence(text)),)),))

    @property
    def parts(self) -> list[Part]:
        """Those of all moments."""
        return [part for moment in self.moments for part in moment.parts]


def question(request: ClipSearch, uploads: Mapping[str, Vectors] | None = None) -> Question:
    """The question of a request.

    uploads  gallery vectors by the names that parts may use; raises NotFoundError for any other name
    """
    parts = [] if request.query is None else [Part(Sentence(request.query))]
    parts += [_part(part, uploads or {}) for part in request.parts]
    parts += reactions(request.more_like, request.less_like)
    later = (Moment(tuple(_part(part, uploads or {}) for part in then.parts), then.within) for then in request.then)
    return Question((Moment(tuple(parts)), *later))


def reactions(more_like: Sequence[int], less_like: Sequence[int]) -> list[Part]:
    """Reactions to hits as parts (Rocchio, 1971): the mean of those that were liked, less that of the others."""
    liked, disliked = list(dict.fromkeys(more_like)), list(dict.fromkeys(less_like))
    return [
        *(Part(Stored(clip), MORE_LIKE / len(liked), reaction=True) for clip in liked),
        *(Part(Stored(clip), -LESS_LIKE / len(disliked), reaction=True) for clip in disliked),
    ]


def _part(given: schemas.Part, uploads: Mapping[str, Vectors]) -> Part:
    if given.text is not None:
        return Part(Sentence(given.text), given.weight)
    if given.clip_id is not None:
        return Part(Stored(given.clip_id), given.weight)
    assert given.upload is not None
    if given.upload not in uploads:
        raise NotFoundError(f"There is no upload {given.upload!r}, or it has expired. Upload the file again.")
    return Part(Uploaded(given.upload, uploads[given.upload]), given.weight)


class Questions(NamedTuple):
    """Clips for each of several questions. `generation` is which has to answer; None: the one that is live then."""

    questions: tuple[Question, ...]
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


def cost_of(asked: Question) -> int:
    """What answering a question costs, in units of a short sentence."""
    texts = [part.source.text for part in asked.parts if isinstance(part.source, Sentence)]
    return max(1, sum(map(cost_of_text, texts)))


def cost_of_text(text: str) -> int:
    """As `cost_of`, of a sentence alone."""
    return 1 + len(text) // _UNIT


def cut_by_cost(asked: Sequence[Question], most: int) -> list[tuple[Question, ...]]:
    """Questions in parts that cost at most `most` each, or hold one."""
    parts: list[list[Question]] = []
    cost = 0
    for one in asked:
        if not parts or cost + cost_of(one) > most:
            parts.append([])
            cost = 0
        parts[-1].append(one)
        cost += cost_of(one)
    return [tuple(part) for part in parts]
