"""The JSON of what a library holds and of how the service does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Selection(BaseModel):
    """Clips to export for a player or an editing program."""

    model_config = ConfigDict(extra="forbid")

    clip_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(
        min_length=1, max_length=1000, description="Clip ids, in the order of the list."
    )
    format: Literal["csv", "m3u8", "otio", "edl", "fcpxml"]
    padding: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        default=0.0, description="Seconds before and after each clip."
    )


class VideoTags(BaseModel):
    """Tags to add to videos and to remove from them."""

    model_config = ConfigDict(extra="forbid")

    video_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(min_length=1, max_length=1000)
    add: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=16)
    remove: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=16)


class VideoTitle(BaseModel):
    """Another title for a video."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200, examples=["Holiday 2024"])


class CaptionsRemoved(BaseModel):
    """How many captions were removed."""

    removed: int
    total: int = Field(description="Captions that the library has now.")
    generation: str = Field(description="The generation from which they are gone.")


class Changed(BaseModel):
    """Number of videos that a request has changed or removed."""

    videos: int


class Caption(BaseModel):
    """A caption of a clip."""

    caption_id: int
    text: str


class ListedCaption(Caption):
    """A caption of the library."""

    source: str = Field(description="The source file of the caption.")
    clip_id: int | None = Field(description="The clip that the caption was written for, where known.")


class ListedClip(BaseModel):
    """A clip of the library."""

    clip_id: int
    video_id: int
    title: str
    start: float
    end: float
    thumbnail_url: str
    strip_url: str = Field(description="Eight frames side by side, to preview the clip.")
    media_url: str


class TimedText(BaseModel):
    """A caption or a subtitle of a video."""

    caption_id: int
    text: str
    source: str = Field(description="The source file.")
    start: float | None = Field(
        description="Seconds from the start of the video. null for a text about the whole video."
    )
    end: float | None
    language: str | None


class Clip(ListedClip):
    """A clip and its captions."""

    captions: list[Caption]


class Tag(BaseModel):
    """A tag of videos. Searches can filter by it."""

    tag: str
    videos: int = Field(description="Number of videos with this tag.")


class Video(BaseModel):
    """A video of the library."""

    video_id: int
    title: str
    root: str = Field(description="Name of the root folder.")
    path: str = Field(description="Path below the root folder.")
    bytes: int
    modified: datetime = Field(description="Modification time of the file.")
    duration: float = Field(description="Seconds.")
    fps: float
    width: int
    height: int
    clips: int = Field(description="Number of clips in the video.")
    tags: list[str]
    thumbnail_url: str | None = Field(description="Thumbnail of its first clip.")
    first_clips: list[ListedClip] = Field(description="The first clips, as many as the request asked for.")


class Failure(BaseModel):
    """A file that was refused."""

    file: str = Field(description="Its name.")
    folder: str = Field(description="Folder of the video: name of the root, and path below it.")
    reason: str = Field(description="A fixed keyword for the cause.")
    detail: str


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Part of a list."""

    total: int = Field(description="Total number of items.")
    offset: int
    limit: int
    items: list[T]


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class ModelInfo(BaseModel):
    """The model that answers."""

    name: str
    fingerprint: str
    note: str = Field(description="What the model learned from, and its limits.")


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
    library_path: str
    library: Counts
    encoders: int = Field(default=1, description="Running model processes.")
    warnings: list[str] = Field(
        default_factory=list,
        description="A fault that does not stop searches, such as a new generation that cannot be opened.",
    )


class LevelInfo(BaseModel):
    """A level and its default weight."""

    name: str
    weight: float
    meaning: str = Field(description="What the level compares, in a few words. May be empty.")


class ListedLibrary(BaseModel):
    """One of the libraries of a service."""

    name: str
    default: bool = Field(description="Whether paths without the name of a library are for this one.")
    url: str = Field(description="What its paths begin with.", examples=["/v1/libraries/default"])
    generation: str
    model: ModelInfo
    counts: Counts


class Libraries(BaseModel):
    """The libraries of a service, the default one first."""

    libraries: list[ListedLibrary]


class LibraryInfo(BaseModel):
    """What a search client needs."""

    name: str
    libraries: list[str] = Field(description="Names of all libraries of the service, the default one first.")
    generation: str
    model: ModelInfo
    counts: Counts
    levels: list[LevelInfo]
    examples: list[str] = Field(description="A few captions of the library, as example queries.")
    example_clips: list[int] = Field(default_factory=list, description="The clip of each example.")
