"""The JSON of the API: requests, hits, answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_QUERY = 1000
MAX_K = 100


def checked_query(text: str) -> str:
    """`text` without the blanks around it. Raises ValueError if it is empty or too long."""
    text = text.strip()
    if not text:
        raise ValueError("The query is empty. Describe a clip in a sentence.")
    if len(text) > MAX_QUERY:
        raise ValueError(f"The query has {len(text)} characters. Shorten it to at most {MAX_QUERY}.")
    return text


Query = Annotated[
    str,
    AfterValidator(checked_query),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_QUERY}),
]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weights = Annotated[
    dict[str, Weight],
    Field(description="Weight of each level; levels that are left out keep the weight of the model."),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=10, ge=1, le=MAX_K, description="How many hits to return.")
    weights: Weights = Field(default_factory=dict, examples=[{"action": 2.0}])


class ClipSearch(_Request):
    """Text to video."""

    query: Query = Field(description="A sentence.", examples=["a red ball rolls behind a box"])


class CaptionSearch(_Request):
    """Video to text, for a clip of the library."""

    clip_id: int = Field(ge=1, description="A clip of the library.", examples=[1])


class CaptionUpload(_Request):
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
    """Milliseconds by stage."""

    encode: float
    search: float
    hydrate: float


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


class ClipAnswer(_Answer):
    """Ranked clips."""

    query: str
    query_attributes: Attributes = Field(description="What the parser read off the query.")
    hits: list[ClipHit]


class CaptionAnswer(_Answer):
    """Ranked captions."""

    hits: list[CaptionHit]


class Caption(BaseModel):
    """A caption of a clip."""

    caption_id: int
    text: str


class Clip(BaseModel):
    """A clip of the library."""

    clip_id: int
    video_id: int
    title: str
    start: float
    end: float
    thumbnail_url: str
    strip_url: str = Field(description="Eight frames side by side, for leafing through the clip.")
    media_url: str
    captions: list[Caption]


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class ModelInfo(BaseModel):
    """The model that answers."""

    name: str
    fingerprint: str
    note: str = Field(description="What the model can and cannot know.")


class Counts(BaseModel):
    """What the library holds."""

    videos: int
    clips: int
    captions: int
    failures: int = Field(description="Files that were refused.")


class Ready(BaseModel):
    """Model and library are loaded."""

    status: str = "ready"
    device: str
    model: ModelInfo
    generation: str
    library: Counts


class LevelInfo(BaseModel):
    """A level and the weight that it has where a request names none."""

    name: str
    weight: float


class LibraryInfo(BaseModel):
    """What a client needs to offer a search."""

    generation: str
    model: ModelInfo
    counts: Counts
    levels: list[LevelInfo]
    examples: list[str] = Field(description="A few captions of the library, as example queries.")
