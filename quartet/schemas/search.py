"""The JSON of the searches: what they ask."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from quartet.schemas.question import (
    MAX_MOMENTS,
    MAX_PARTS,
    MAX_QUERY,
    MAX_REACTIONS,
    MAX_WEIGHT,
    MIN_WEIGHT,
    Id,
    Part,
    Seconds,
    Then,
    checked_query,
)

MAX_QUERIES = 64
MAX_CHARACTERS = 16_000
"""Of all queries of a list together."""
MAX_K = 100
MAX_OFFSET = 10_000
MAX_FILTER_IDS = 1000
MAX_FILTER_TAGS = 100
MAX_PATH = 4096


def sentence(given: object) -> object:
    """`given`, unless it is a list: for that there is another route. Raises ValueError."""
    if isinstance(given, list):
        raise ValueError("The query is one sentence. Send several as `queries` to /v1/search/clips/batch.")
    return given


def checked_queries(given: list[str]) -> list[str]:
    """Every text without the blanks around it. Raises ValueError for none, too many, or what cannot be used."""
    if not 1 <= len(given) <= MAX_QUERIES:
        raise ValueError(f"The list has {len(given)} queries. Give 1 to {MAX_QUERIES}.")
    characters = sum(map(len, given))
    if characters > MAX_CHARACTERS:
        raise ValueError(
            f"The queries have {characters:,} characters together. Give at most {MAX_CHARACTERS:,}, in several lists."
        )
    return [checked_query(text) for text in given]


_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_QUERY, "pattern": r"\S"}
Query = Annotated[str, BeforeValidator(sentence), AfterValidator(checked_query), WithJsonSchema(_TEXT)]
Queries = Annotated[
    list[str],
    AfterValidator(checked_queries),
    WithJsonSchema({"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_QUERIES}),
]


def checked_weight(weight: float) -> float:
    """Raises ValueError for a weight that single precision might lose compared with the others."""
    if 0 < weight < MIN_WEIGHT:
        raise ValueError(f"A weight must be 0 or between {MIN_WEIGHT:g} and {MAX_WEIGHT:g}, not {weight:g}.")
    return weight


Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False), AfterValidator(checked_weight)]
_WEIGHT = {"type": "number", "minimum": 0, "maximum": MAX_WEIGHT}
Weights = Annotated[
    dict[str, Weight],
    WithJsonSchema({"type": "object", "additionalProperties": _WEIGHT}),
    Field(description="Weight of each level. A level that is not named keeps the model's weight."),
]


MAX_RERANKED = 200
"""The best clips of a search that `rerank` looks at again."""

Rerank = Annotated[
    bool,
    Field(
        description=f"Score the best {MAX_RERANKED} clips again, with the vectors of their single frames. The library "
        f"must store these. At most {MAX_RERANKED} hits, for sentences alone."
    ),
]


class Filter(BaseModel):
    """Conditions on clips. A hit meets all of them."""

    model_config = ConfigDict(extra="forbid")

    video_ids: list[Id] | None = Field(
        default=None, max_length=MAX_FILTER_IDS, description="Clips of these videos.", examples=[[1, 2]]
    )
    tags: list[str] | None = Field(
        default=None,
        max_length=MAX_FILTER_TAGS,
        description="Clips of videos with all of these tags.",
        examples=[["holiday"]],
    )
    start: Seconds | None = Field(default=None, description="Clips that end after this second of their video.")
    end: Seconds | None = Field(default=None, description="Clips that start before this second of their video.")
    path: str | None = Field(
        default=None,
        max_length=MAX_PATH,
        description="Clips of videos in this folder below the root, or whose path matches this pattern with * and ?.",
        examples=["2024/holiday"],
    )
    after: date | datetime | None = Field(
        default=None, description="Clips of videos whose files changed at this time or later. Without a time zone: UTC."
    )
    before: date | datetime | None = Field(
        default=None, description="Clips of videos whose files changed before this time. Without a time zone: UTC."
    )
    shortest: Seconds | None = Field(default=None, description="Clips of videos that last at least this many seconds.")
    longest: Seconds | None = Field(default=None, description="Clips of videos that last at most this many seconds.")
    words: str | None = Field(
        default=None,
        max_length=MAX_QUERY,
        description="Clips whose text, such as a subtitle, contains all of these words. Put phrases in double quotes.",
        examples=['"interest rates"'],
    )
    languages: list[str] | None = Field(
        default=None,
        max_length=MAX_FILTER_TAGS,
        description="Clips with a text in one of these languages (ISO 639).",
        examples=[["en"]],
    )
    has_text: bool | None = Field(default=None, description="true: clips with a text. false: clips without one.")
    after_clip: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        default=None, description="Clips added after this clip."
    )


class SearchRequest(BaseModel):
    """Options of every search."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=10, ge=1, le=MAX_K, description="How many hits to return.")
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET, description="How many hits to skip first.")
    weights: Weights = Field(default_factory=dict, examples=[{"action": 2.0}])
    min_score: float | None = Field(
        default=None, allow_inf_nan=False, description="Minimum score of a hit.", examples=[0.2]
    )
    explain: bool = Field(default=False, description="Also explain how the answer was found.")


class ClipRequest(SearchRequest):
    """Options of every search for clips."""

    filter: Filter | None = Field(default=None, description="Which clips to search. Default: all.")
    sort: Literal["score", "time", "date"] = Field(
        default="score",
        description="Order of the returned hits: by score, by position in the video, or newest files first. "
        "The score always decides which hits are returned.",
    )


class ClipSearch(ClipRequest):
    """Clips for a question: a sentence, or parts of any kind, or both."""

    query: Query | None = Field(default=None, description="A sentence.", examples=["a red ball rolls behind a box"])
    parts: list[Part] = Field(
        default_factory=list,
        max_length=MAX_PARTS,
        description="Further parts of the question.",
        examples=[[{"text": "a dog", "weight": -0.5}]],
    )
    more_like: list[Id] = Field(
        default_factory=list,
        max_length=MAX_REACTIONS,
        description="Clips that are good answers. The search moves towards them.",
    )
    less_like: list[Id] = Field(
        default_factory=list,
        max_length=MAX_REACTIONS,
        description="Clips that are wrong answers. The search moves away from them.",
    )
    then: list[Then] = Field(
        default_factory=list,
        max_length=MAX_MOMENTS - 1,
        description="Later moments, in order, in the same video. A hit then has one clip for each moment.",
    )
    group: Literal["video"] | None = Field(
        default=None, description='"video": list each video once, ranked by its best moment.'
    )
    diverse: bool = Field(
        default=False,
        description="Merge near-duplicates: clips that overlap or touch, and clips that look alike.",
    )
    per_video: int | None = Field(
        default=None,
        ge=1,
        le=MAX_K,
        description="With `diverse`: maximum hits per video. With `group`: maximum moments per video.",
    )
    rerank: Rerank = False

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.query is None and not self.parts and not self.more_like:
            raise ValueError("The question is empty. Give a query, or parts.")
        count = len(self.parts) + (self.query is not None) + sum(len(moment.parts) for moment in self.then)
        if count > MAX_PARTS:
            raise ValueError(f"The question has {count} parts. The maximum is {MAX_PARTS}.")
        if self.per_video is not None and not (self.diverse or self.group):
            raise ValueError("per_video needs diverse or group.")
        if self.rerank:
            more = ("parts", "more_like", "less_like", "then", "group", "diverse")
            given = [name for name in more if getattr(self, name)]
            if given:
                raise ValueError(f"rerank is for a query alone. Leave out {', '.join(given)}.")
        return self


class ClipBatchSearch(ClipRequest):
    """Clips for each of several sentences."""

    queries: Queries = Field(
        description=f"Up to {MAX_QUERIES} sentences, with {MAX_CHARACTERS:,} characters together.",
        examples=[["a red ball rolls behind a box", "two people dance"]],
    )
    rerank: Rerank = False


class SimilarSearch(ClipRequest):
    """Video to video, for a clip of the library."""

    clip_id: Id = Field(description="A clip of the library.", examples=[1])


class CaptionSearch(SearchRequest):
    """Video to text, for a clip of the library."""

    clip_id: Id = Field(description="A clip of the library.", examples=[1])


class CaptionUpload(SearchRequest):
    """Video to text, for an uploaded file: the fields in addition to the file."""
