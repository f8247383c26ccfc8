"""The JSON of saved searches."""

from __future__ import annotations

from pydantic import BaseModel, Field

from quartet.schemas.search import ClipSearch


class SavedSearch(BaseModel):
    """A search that the library keeps."""

    name: str
    request: ClipSearch = Field(description="What `POST /v1/search/clips` takes.")
    seen: int = Field(
        description="The newest clip when the search was last shown. Set `after_clip` of the filter to this "
        "value to find new clips."
    )
    new_clips: bool = Field(description="Whether clips were added since then. They need not be hits.")


class SavedSearches(BaseModel):
    """All saved searches, in alphabetical order."""

    items: list[SavedSearch]
