"""The JSON of uploads that can be resumed."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StoredUpload(BaseModel):
    """An upload in pieces, and how much of it the service has."""

    id: str
    name: str = Field(description="The name that its file gets.")
    size: int = Field(description="Bytes of all of it.")
    received: int = Field(description="Bytes that have arrived.")
