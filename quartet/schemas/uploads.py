"""The JSON of uploads that can be resumed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from quartet.schemas.jobs import MoreTexts


class StoredUpload(BaseModel):
    """An upload in pieces, and how much of it the service has."""

    id: str
    name: str = Field(description="The name that its file gets.")
    size: int = Field(description="Bytes of all of it.")
    received: int = Field(description="Bytes that have arrived.")


class UploadsToIndex(MoreTexts):
    """Uploads in pieces that one job indexes."""

    uploads: list[Annotated[str, Field(max_length=100)]] = Field(
        min_length=1, max_length=100, description="Their ids; all of them are complete."
    )
