"""The JSON of the searches: requests, hits, answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

MAX_QUERY = 1000
MAX_QUERIES = 64
MAX_CHARACTERS = 16_000
"""Of all queries of a list together."""
MAX_K = 100
MAX_OFFSET = 1000
MAX_FILTER_IDS = 1000
MAX_FILTER_TAGS = 100
MIN_WEIGHT, MAX_WEIGHT = 1e-3, 1e3
"""Of levels that count."""


def checked_query(text: str) -> str:
    """`text` without the blanks around it. Raises ValueError if it is empty, too long or no text."""
    text = text.strip()
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("The query holds half of a surrogate pair, which stands for no character.")
    if not text:
        raise ValueError("The query is empty. Describe a clip in a sentence.")
    if len(text) > MAX_QUERY:
        raise ValueError(f"The query has {len(text)} characters. Shorten it to at most {MAX_QUERY}.")
    return text


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
# SQLite's integers have 64 bits; a larger id is a malformed request, not a database error.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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


class ClipSearch(ClipRequest):
    """Text to video."""

    query: Query = Field(description="A sentence.", examples=["a red ball rolls behind a box"])


class ClipBatchSearch(ClipRequest):
    """Text to video, for several sentences."""

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
        description="For approximate answers: what an item in a list that was looked into, and is not shown, can score."
    )
    certified: bool = Field(description="Nothing that the index could have returned can displace a hit.")
    search_ms: dict[str, float] = Field(description="Milliseconds by stage of the search.")
    batch: int = Field(description="How many queries were answered together.")


class _Hit(BaseModel):
    score: float
    levels: dict[str, LevelScore]
    matched: Attributes


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

    query: str
    query_attributes: Attributes = Field(description="What the parser read off the query.")
    hits: list[ClipHit]


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
