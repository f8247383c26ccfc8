"""The JSON of `/v1/embeddings`, in the shape that services of embeddings have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_INPUTS = 64
MAX_INPUT_CHARACTERS = 1_000_000


class EmbeddingRequest(BaseModel):
    """Texts and pictures to encode."""

    model_config = ConfigDict(extra="forbid")

    input: str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="A text of up to 1,000 characters, a picture as `data:image/...;base64,...`, or up to 64 of them.",
        examples=["a red ball rolls behind a box"],
    )
    model: str | None = Field(default=None, description="Name of the service's model. Optional.")
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Numbers, or the bytes of 32-bit floats, little-endian, in base64."
    )
    level: str | None = Field(
        default=None,
        description="Return the vector of this level only. Default: the vectors of all levels, concatenated.",
    )
    user: str | None = Field(default=None, description="Ignored.")


class Embedding(BaseModel):
    """The vector of one input."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Position of the input in the request.")
    embedding: list[float] | str
    kind: Literal["query", "item"] = Field(
        description="`query` for a text, `item` for a picture. Multiply a query with items, not with other queries."
    )


class LevelPart(BaseModel):
    """Position of a level's vector in an embedding, and how its inner product with an item becomes a score."""

    name: str
    start: int
    end: int
    activation: str = Field(description="`identity` or `sigmoid` of scale * product + bias.")
    scale: float
    bias: float
    weight: float


class Usage(BaseModel):
    """Amount of encoded text, in characters instead of tokens."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The vectors of the inputs, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    levels: list[LevelPart]
    usage: Usage
