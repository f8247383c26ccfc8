"""The JSON of the searches: requests, hits, answers."""

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
    """Raises ValueError for a weight that single precision might lose beside the others."""
    if 0 < weight < MIN_WEIGHT:
        raise ValueError(f"A weight must be 0 or between {MIN_WEIGHT:g} and {MAX_WEIGHT:g}, not {weight:g}.")
    return weight


Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False), AfterValidator(checked_weight)]
_WEIGHT = {"type": "number", "minimum": 0, "maximum": MAX_WEIGHT}
Weights = Annotated[
    dict[str, Weight],
    WithJsonSchema({"type": "object", "additionalProperties": _WEIGHT}),
    Field(description="Weight of each level; levels that are left out keep the weight of the model."),
]


class Filter(BaseModel):
    """Which clips may be hits. Every condition that is given must hold."""

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
    start: Seconds | None = Field(default=None, description="Clips that have a part at or after this second.")
    end: Seconds | None = Field(default=None, description="Clips that have a part before this second.")
    path: str | None = Field(
        default=None,
        max_length=MAX_PATH,
        description="Clips of videos in this folder of their root, or whose path there fits this pattern of * and ?.",
        examples=["2024/holiday"],
    )
    after: date | datetime | None = Field(
        default=None, description="Clips of videos whose files were changed then or later. Without a zone: UTC."
    )
    before: date | datetime | None = Field(
        default=None, description="Clips of videos whose files were changed before. Without a zone: UTC."
    )
    shortest: Seconds | None = Field(default=None, description="Clips of videos that last so many seconds or more.")
    longest: Seconds | None = Field(default=None, description="Clips of videos that last so many seconds or less.")
    words: str | None = Field(
        default=None,
        max_length=MAX_QUERY,
        description="Clips at whose time a text has all of these words. Phrases stand in double quotes.",
        examples=['"interest rates"'],
    )
    languages: list[str] | None = Field(
        default=None,
        max_length=MAX_FILTER_TAGS,
        description="Clips at whose time there is a text in one of these languages (ISO 639).",
        examples=[["en"]],
    )
    has_text: bool | None = Field(default=None, description="Clips at whose time there is a text, or none.")
    after_clip: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        default=None, description="Clips that were added after this one: what is new since then."
    )


class SearchRequest(BaseModel):
    """What every search can ask for."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=10, ge=1, le=MAX_K, description="How many hits to return.")
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET, description="How many hits to leave out before those.")
    weights: Weights = Field(default_factory=dict, examples=[{"action": 2.0}])
    min_score: float | None = Field(
        default=None, allow_inf_nan=False, description="Leave out hits that score less.", examples=[0.2]
    )
    explain: bool = Field(default=False, description="Also say how the answer was found.")


class ClipRequest(SearchRequest):
    """What every search for clips can ask for."""

    filter: Filter | None = Field(default=None, description="Which clips may be hits; all if left out.")
    sort: Literal["score", "time", "date"] = Field(
        default="score",
        description="Order of the hits that are returned: by score, by their place in their videos, or the newest "
        "files first. Which hits they are is decided by score.",
    )


class ClipSearch(ClipRequest):
    """Clips for a question: a sentence, or parts of any kind, or both."""

    query: Query | None = Field(default=None, description="A sentence.", examples=["a red ball rolls behind a box"])
    parts: list[Part] = Field(
        default_factory=list,
        max_length=MAX_PARTS,
        description="Parts of the question beside the sentence.",
        examples=[[{"text": "a dog", "weight": -0.5}]],
    )
    more_like: list[Id] = Field(
        default_factory=list,
        max_length=MAX_REACTIONS,
        description="Hits that are like what is wanted. The question moves towards them.",
    )
    less_like: list[Id] = Field(
        default_factory=list,
        max_length=MAX_REACTIONS,
        description="Hits that are unlike what is wanted. The question moves away from them.",
    )
    then: list[Then] = Field(
        default_factory=list,
        max_length=MAX_MOMENTS - 1,
        description="What has to be seen after that, in the same video. A hit then has a clip for each moment.",
    )
    group: Literal["video"] | None = Field(default=None, description='"video": each video once, by its best moment.')
    diverse: bool = Field(
        default=False,
        description="Tell what is nearly the same once: clips that overlap or touch, and clips that look alike.",
    )
    per_video: int | None = Field(
        default=None,
        ge=1,
        le=MAX_K,
        description="Hits of one video at most with `diverse`, or moments of a video with `group`.",
    )

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.query is None and not self.parts and not self.more_like:
            raise ValueError("The question is empty. Give a query, or parts.")
        count = len(self.parts) + (self.query is not None) + sum(len(moment.parts) for moment in self.then)
        if count > MAX_PARTS:
            raise ValueError(f"The question has {count} parts. {MAX_PARTS} are the most.")
        if self.per_video is not None and not (self.diverse or self.group):
            raise ValueError("per_video goes with diverse or with group.")
        return self


class ClipBatchSearch(ClipRequest):
    """Clips for each of several sentences."""

    queries: Queries = Field(
        description=f"Up to {MAX_QUERIES} sentences, with {MAX_CHARACTERS:,} characters together.",
        examples=[["a red ball rolls behind a box", "two people dance"]],
    )


class SimilarSearch(ClipRequest):
    """Video to video, for a clip of the library."""

    clip_id: Id = Field(description="A clip of the library.", examples=[1])


class CaptionSearch(SearchRequest):
    """Video to text, for a clip of the library."""

    clip_id: Id = Field(description="A clip of the library.", examples=[1])


class CaptionUpload(SearchRequest):
    """Video to text, for an uploaded file: the fields beside the file."""


class Attributes(BaseModel):
    """Words of three levels. The global level has none."""

    entities: list[str] = Field(description="Nouns.")
    actions: list[str] = Field(description="Verbs.")
    relations: list[str] = Field(description='"subject relation object".')


class LevelScore(BaseModel):
    """What one level said about a hit, and what that was worth."""

    raw: float = Field(description="Inner product of the query and the hit.")
    activation: float = Field(description="The score of this level.")
    weight: float = Field(description="Weight in this comparison; 0 where a side has nothing at this level.")
    contribution: float = Field(description="Share of the score: the shares of a hit sum to its score.")


class Took(BaseModel):
    """Milliseconds by stage, of the batch that the request was answered in."""

    queue: float = Field(description="Waiting for a worker.")
    encode: float = Field(description="Parsing the sentence, or decoding the video, and running the model.")
    search: float
    hydrate: float = Field(description="Reading the catalogue, and finding what of the query a hit shows.")


class LevelExplained(BaseModel):
    """activation(scale * inner product + bias), times the weight."""

    activation: str
    scale: float
    bias: float
    weight: float


class Explanation(BaseModel):
    """How the answer was found."""

    levels: dict[str, LevelExplained]
    candidates: int = Field(description="How many items were scored on all levels, or may be hits.")
    bound: float | None = Field(
        description="For approximate answers of Milvus: what an item that its lists could have given, and did not, "
        "can score. Null for all others."
    )
    certified: bool = Field(description="Nothing that the index could have returned can displace a hit.")
    search_ms: dict[str, float] = Field(description="Milliseconds by stage of the search.")
    batch: int = Field(description="How many queries were answered together.")


class AskedPart(BaseModel):
    """One part of the question that was answered."""

    moment: int = Field(description="The moment that it belongs to, from 0 on.")
    text: str | None
    clip_id: int | None
    upload: str | None
    weight: float
    reaction: bool = Field(description="Whether it comes from `more_like` or `less_like`.")
    attributes: Attributes = Field(description="What the parser read off a sentence.")


class PartScores(BaseModel):
    """What the parts of a question gave to the score of a hit: contributions, base and words sum to it."""

    contributions: list[float] = Field(description="One per part, in the order of the answer's `parts`.")
    base: float = Field(description="What the levels score without any part.")
    words: float = Field(default=0.0, description="What a text at the time of the hit gave.")


class _Hit(BaseModel):
    score: float
    levels: dict[str, LevelScore]
    matched: Attributes


class Line(BaseModel):
    """A caption or a subtitle at the time of a hit."""

    caption_id: int
    text: str
    source: str = Field(description="The file that it came from.")
    start: float | None = Field(description="Seconds from the start of the video; null for a text about all of it.")
    end: float | None
    language: str | None
    marks: list[tuple[int, int]] = Field(description="Characters [from, to) of the words that were asked for.")


class Moment(BaseModel):
    """A clip that is part of a hit."""

    clip_id: int
    start: float = Field(description="Seconds from the start of the video.")
    end: float
    score: float
    levels: dict[str, LevelScore]
    thumbnail_url: str


class Fit(BaseModel):
    """Whether anything fits the question."""

    likelihood: float = Field(description="How likely the best of all hits is a match, from 0 to 1.")
    nothing_fits: bool = Field(description="Even the best hit is weak.")
    weak: float = Field(description="Hits that are less likely than this are weak.")
    basis: Literal["captions", "sentences"] = Field(
        description="What taught it: captions of this library, or sentences about nothing in particular."
    )


class ClipHit(_Hit):
    """A clip that answers a sentence."""

    clip_id: int
    video_id: int
    title: str
    start: float = Field(description="Seconds from the start of the video.")
    end: float = Field(description="Seconds from the start of the video.")
    thumbnail_url: str
    strip_url: str = Field(description="Eight frames side by side, for leafing through the clip.")
    media_url: str
    line: Line | None = Field(
        default=None, description="The text that raised the score, or that has the words that the filter asks for."
    )
    parts: PartScores | None = Field(default=None, description="For questions of several parts.")
    likelihood: float | None = Field(
        default=None, description="How likely the hit is a match, from 0 to 1. Null where the answer's `fit` is."
    )

    moments: list[Moment] = Field(
        default_factory=list,
        description="With `then`: the clip of each moment; `start` and `end` of the hit span all of them. "
        "With `group`: the best moments of the video, in the order of time.",
    )
    alike: list[int] = Field(
        default_factory=list, description="With `diverse`: clips that rank behind this one and that it stands for."
    )


class CaptionHit(_Hit):
    """A caption that answers a clip."""

    caption_id: int
    text: str
    source: str = Field(description="The file that the caption came from.")
    clip_id: int | None = Field(description="The clip that the caption was written for, where known.")


class _Answer(BaseModel):
    generation: str = Field(description="The generation of the library that answered.")
    exact: bool = Field(description="True: nothing that is not shown can beat the last hit.")
    took_ms: Took
    model_fingerprint: str
    weights: dict[str, float] = Field(description="The weights asked for, with the model's for the rest.")
    explanation: Explanation | None = Field(default=None, description="Where `explain` asked for it, else null.")


class ClipAnswer(_Answer):
    """Ranked clips."""

    notes: list[str] = Field(
        default_factory=list,
        description="What to know of this answer: that the parser cannot read the query's language, or that the "
        "library has prompts or weights of its own; where `explain` asked for it also what the model cannot know.",
    )
    query: str = Field(description="The sentence; the first one where there are several, empty where there is none.")
    query_attributes: Attributes = Field(description="What the parser read off the sentences that are wanted.")
    unknown: Attributes = Field(
        description="Words of these that the model cannot judge. Of the others a hit shows those that it has `matched`."
    )
    parts: list[AskedPart] = Field(description="The parts of the question.")
    fit: Fit | None = Field(
        description="Null for questions without a sentence, for several moments, and where it cannot be known."
    )
    hits: list[ClipHit]


class Upload(BaseModel):
    """An upload to search with."""

    upload: str = Field(description="Its id, for parts of questions. The service keeps the latest uploads in memory.")
    kind: Literal["picture", "video"]
    start: float = Field(description="Seconds from the start of the video: the part that counts.")
    end: float


class ClipAnswers(BaseModel):
    """Ranked clips for each of several sentences, in their order, from one generation."""

    answers: list[ClipAnswer]


class SimilarAnswer(_Answer):
    """Ranked clips, the one asked for left out. `matched` are words of its captions that a hit shows too."""

    clip_id: int
    hits: list[ClipHit]


class CaptionAnswer(_Answer):
    """Ranked captions."""

    hits: list[CaptionHit]
