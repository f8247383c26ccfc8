"""The JSON of the searches: what they answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from quartet.schemas.library import TimedText


class Attributes(BaseModel):
    """Words of three levels. The global level has none."""

    entities: list[str] = Field(description="Nouns.")
    actions: list[str] = Field(description="Verbs.")
    relations: list[str] = Field(description='"subject relation object".')


class LevelScore(BaseModel):
    """Score of one level for a hit, and its share of the total."""

    raw: float = Field(description="Inner product of the query and the hit.")
    activation: float = Field(description="The score of this level.")
    weight: float = Field(
        description="Weight in this comparison. 0 where the query or the hit has no vector at this level."
    )
    contribution: float = Field(description="Share of the score: the shares of a hit sum to its score.")


class Took(BaseModel):
    """Milliseconds by stage, for the request's batch."""

    queue: float = Field(description="Time in the queue.")
    encode: float = Field(description="Parsing the sentence, or decoding the video, and running the model.")
    search: float
    hydrate: float = Field(description="Reading the catalogue, and matching the words of the query with each hit.")


class LevelExplained(BaseModel):
    """activation(scale * inner product + bias), times the weight."""

    activation: str
    scale: float
    bias: float
    weight: float


class Explanation(BaseModel):
    """How the answer was found."""

    levels: dict[str, LevelExplained]
    candidates: int = Field(description="Number of items scored on all levels.")
    bound: float | None = Field(
        description="For approximate answers from Milvus: the maximum score of an item that Milvus did not "
        "return. Otherwise null."
    )
    certified: bool = Field(description="No item that the index could have returned scores higher than a hit.")
    search_ms: dict[str, float] = Field(description="Milliseconds by stage of the search.")
    batch: int = Field(description="Number of queries in the batch.")


class AskedPart(BaseModel):
    """One part of the question that was answered."""

    moment: int = Field(description="The moment of the part, counted from 0.")
    text: str | None
    clip_id: int | None
    upload: str | None
    weight: float
    reaction: bool = Field(description="True for a part from `more_like` or `less_like`.")
    attributes: Attributes = Field(description="What the parser found in the sentence.")


class PartScores(BaseModel):
    """Contributions of the parts of a question to a hit's score. Contributions, base and words sum to the score."""

    contributions: list[float] = Field(description="One per part, in the order of the answer's `parts`.")
    base: float = Field(description="Score of the levels without any part.")
    words: float = Field(default=0.0, description="Contribution of the text at the time of the hit.")


class _Hit(BaseModel):
    score: float
    levels: dict[str, LevelScore]
    matched: Attributes


class Line(TimedText):
    """A caption or a subtitle at the time of a hit."""

    marks: list[tuple[int, int]] = Field(description="Positions [from, to) of the words that matched.")


class Moment(BaseModel):
    """A clip that is part of a hit."""

    clip_id: int
    start: float = Field(description="Seconds from the start of the video.")
    end: float
    score: float
    levels: dict[str, LevelScore]
    thumbnail_url: str
    line: Line | None = Field(default=None, description="What is said or written there, if that raised its score.")


class Fit(BaseModel):
    """Whether anything fits the question."""

    likelihood: float = Field(description="Probability that the best hit is a match, from 0 to 1.")
    nothing_fits: bool = Field(description="True when even the best hit is weak.")
    weak: float = Field(description="A hit below this probability is weak.")
    basis: Literal["captions", "sentences"] = Field(
        description="What the probability was learned from: captions of this library, or general sentences."
    )


class ClipHit(_Hit):
    """A clip that answers a sentence."""

    clip_id: int
    video_id: int
    title: str
    start: float = Field(description="Seconds from the start of the video.")
    end: float = Field(description="Seconds from the start of the video.")
    thumbnail_url: str
    strip_url: str = Field(description="Eight frames side by side, to preview the clip.")
    media_url: str
    line: Line | None = Field(default=None, description="The text that raised the score or matched the filter.")
    parts: PartScores | None = Field(default=None, description="For questions of several parts.")
    likelihood: float | None = Field(
        default=None, description="Probability that the hit is a match, from 0 to 1. null where `fit` is null."
    )

    moments: list[Moment] = Field(
        default_factory=list,
        description="With `then`: the clip of each moment; `start` and `end` of the hit span all of them. "
        "With `group`: the best moments of the video, in order of time.",
    )
    alike: list[int] = Field(
        default_factory=list, description="With `diverse`: lower-ranked near-duplicates of this hit."
    )


class CaptionHit(_Hit):
    """A caption that answers a clip."""

    caption_id: int
    text: str
    source: str = Field(description="The source file of the caption.")
    clip_id: int | None = Field(description="The clip that the caption was written for, where known.")


class _Answer(BaseModel):
    generation: str = Field(description="The generation of the library that answered.")
    exact: bool = Field(
        description="True: no other clip scores higher than the last hit. With `reranked`: no other clip scored higher "
        "than the candidates before these were scored again."
    )
    took_ms: Took
    model_fingerprint: str
    weights: dict[str, float] = Field(description="The requested weights, completed with the model's.")
    explanation: Explanation | None = Field(default=None, description="Present when `explain` is true, else null.")


class Reranked(BaseModel):
    """What `rerank` did: candidates were scored again by the vectors of their frames."""

    candidates: int = Field(description="How many of the best clips were scored again.")
    took_ms: float = Field(description="Milliseconds for this question, a part of `took_ms.search`.")


class ClipAnswer(_Answer):
    """Ranked clips."""

    reranked: Reranked | None = Field(default=None, description="Present when `rerank` is true, else null.")

    notes: list[str] = Field(
        default_factory=list,
        description="Notes about this answer: the parser cannot read the query's language, or the library "
        "has its own prompts or weights. With `explain` also the limits of the model.",
    )
    query: str = Field(description="The sentence of the question. The first one of several; empty if there is none.")
    query_attributes: Attributes = Field(description="What the parser found in the sentences with a positive weight.")
    unknown: Attributes = Field(
        description="Words that the model cannot judge. For the other words, see `matched` of each hit."
    )
    parts: list[AskedPart] = Field(description="The parts of the question.")
    fit: Fit | None = Field(
        description="null for questions without a sentence, for several moments, and where it is unknown."
    )
    hits: list[ClipHit]


class Upload(BaseModel):
    """An upload to search with."""

    upload: str = Field(
        description="Id of the upload, for parts of questions. The service keeps the latest uploads in memory."
    )
    kind: Literal["picture", "video"]
    start: float = Field(description="The part of the video to use, in seconds from its start.")
    end: float


class ClipAnswers(BaseModel):
    """Ranked clips for each of several sentences, in the same order, from one generation."""

    answers: list[ClipAnswer]


class SimilarAnswer(_Answer):
    """Ranked clips, without the requested clip. `matched` are words of its captions that a hit shows too."""

    clip_id: int
    hits: list[ClipHit]


class CaptionAnswer(_Answer):
    """Ranked captions."""

    hits: list[CaptionHit]
