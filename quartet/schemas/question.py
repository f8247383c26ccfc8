"""One question, the same in the API, the client and the command line: parts with weights, in an order if need be."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_QUERY = 1000
MAX_PARTS = 16
"""Parts of a question, in all of its moments together."""
MAX_MOMENTS = 8
"""Moments of a question: what has to be seen first, then, then ..."""
MAX_REACTIONS = 64
"""Hits that were called like what is wanted, or unlike it."""
MIN_WEIGHT, MAX_WEIGHT = 1e-3, 1e3
"""Of levels and of parts that count."""
DEFAULT_WITHIN, MAX_WITHIN = 60.0, 24 * 3600.0
"""Seconds from one moment to the next."""

# SQLite's integers have 64 bits; a larger id is a malformed request, not a database error.
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def checked_query(text: str) -> str:
    """`text` without the blanks around it. Raises ValueError if it is empty, too long or not text."""
    text = text.strip()
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("The query contains half of a surrogate pair, which is not a valid character.")
    if not text:
        raise ValueError("The query is empty. Describe a clip in a sentence.")
    if len(text) > MAX_QUERY:
        raise ValueError(f"The query has {len(text)} characters. Shorten it to at most {MAX_QUERY}.")
    return text


def _checked_part_weight(weight: float) -> float:
    if not MIN_WEIGHT <= abs(weight) <= MAX_WEIGHT:
        raise ValueError(
            f"The weight of a part must be between {MIN_WEIGHT:g} and {MAX_WEIGHT:g}, or between "
            f"{-MAX_WEIGHT:g} and {-MIN_WEIGHT:g} to rank clips like it lower. It is {weight:g}."
        )
    return weight


PartWeight = Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT, allow_inf_nan=False)]


class Part(BaseModel):
    """One part of a question: a sentence, a clip of the library, or an upload (a video or a picture)."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, AfterValidator(checked_query)] | None = Field(
        default=None,
        min_length=1,
        description=f"A sentence of at most {MAX_QUERY} characters.",
        examples=["at night"],
    )
    clip_id: Id | None = Field(default=None, description="A clip of the library.", examples=[1])
    upload: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="The id from `POST /v1/search/uploads`, or the name of a file in the same form.",
    )
    weight: Annotated[PartWeight, AfterValidator(_checked_part_weight)] = Field(
        default=1.0, description="How much the part counts. Below 0: rank clips like it lower."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("text", "clip_id", "upload") if getattr(self, name) is not None]
        if len(given) != 1:
            reason = " and ".join(given) if given else "none of them"
            raise ValueError(f"A part needs exactly one of text, clip_id and upload. This one has {reason}.")
        return self


class Then(BaseModel):
    """A later moment of a question: what comes after the previous moment in the same video."""

    model_config = ConfigDict(extra="forbid")

    parts: Annotated[list[Part], Field(min_length=1, max_length=MAX_PARTS, description="What the moment shows.")]
    within: Annotated[float, Field(ge=0, le=MAX_WITHIN, allow_inf_nan=False)] = Field(
        default=DEFAULT_WITHIN,
        description="Maximum seconds from the end of the previous moment to the start of this one.",
    )
