"""The JSON of `/v1/session`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Login(BaseModel):
    """The key."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(max_length=1000, examples=["a-key-of-some-length"])]


class Session(BaseModel):
    """Whether the service needs a key, and whether this request sent it."""

    required: bool
    authorized: bool
    role: str | None = Field(default=None, description="Role of the key: read, write or admin.")
