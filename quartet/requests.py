"""What each method of the clients asks the service for, as data: nothing here sends anything.

`quartet.client` sends it, `quartet.answers` reads what comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from quartet.schemas.jobs import Job, JobList
from quartet.schemas.library import Clip, LibraryInfo, ListedCaption, ListedClip, Page, Ready, Tag, Video
from quartet.schemas.question import Part, Then
from quartet.schemas.search import CaptionAnswer, ClipAnswer, ClipAnswers, Filter, SimilarAnswer, Upload

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Request(Generic[T]):
    """A request whose JSON answer is an `answer`. `file`: a video to upload with the fields of the form `data`."""

    answer: type[T]
    method: str
    path: str
    params: Mapping[str, int | str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    file: Path | None = None
    data: Mapping[str, str] | None = None


@dataclass(frozen=True)
class BytesRequest:
    """A request whose answer is a file."""

    path: str
    method: str = "GET"
    params: Mapping[str, int | str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    file: Path | None = None
    data: Mapping[str, str] | None = None


@dataclass(frozen=True)
class PagedRequest(Generic[T]):
    """A list of `item`, which the service gives a page at a time."""

    item: type[T]
    path: str
    params: Mapping[str, int | str] = field(default_factory=dict)

    def page(self, offset: int, limit: int) -> Request[Page[T]]:
        params = {**self.params, "offset": offset, "limit": limit}
        return Request(Page[self.item], "GET", self.path, params)  # type: ignore[name-defined]


def ready() -> Request[Ready]:
    """What the service serves, and on which device."""
    return Request(Ready, "GET", "/readyz")


def library() -> Request[LibraryInfo]:
    """Levels, counts and example queries."""
    return Request(LibraryInfo, "GET", "/v1/library")


def search(
    query: str | None = None,
    k: int = 10,
    *,
    parts: Sequence[Part] = (),
    then: Sequence[Then] = (),
    more_like: Sequence[int] = (),
    less_like: Sequence[int] = (),
    group: Literal["video"] | None = None,
    diverse: bool = False,
    per_video: int | None = None,
    sort: Literal["score", "time", "date"] = "score",
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[ClipAnswer]:
    """Clips for a sentence, for parts, or for both."""
    question = {
        "query": query,
        "parts": [part.model_dump(exclude_none=True) for part in parts],
        "then": [moment.model_dump(exclude_none=True) for moment in then],
        "more_like": list(more_like),
        "less_like": list(less_like),
        "group": group,
        "diverse": diverse,
        "per_video": per_video,
        "sort": None if sort == "score" else sort,
    }
    given = {name: value for name, value in question.items() if value or (name == "query" and value is not None)}
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(ClipAnswer, "POST", "/v1/search/clips", json={**given, **options})


def upload(file: Path, start: float | None = None, end: float | None = None) -> Request[Upload]:
    """A video, a part of it in seconds, or a picture, for `Part(upload=...)` of later questions.

    The file is not kept. Raises VideoError if it cannot be used.
    """
    data = {name: str(value) for name, value in (("start", start), ("end", end)) if value is not None}
    return Request(Upload, "POST", "/v1/search/uploads", file=file, data=data)


def search_many(
    queries: Sequence[str],
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[ClipAnswers]:
    """Clips for each of up to 64 sentences, from one generation."""
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(ClipAnswers, "POST", "/v1/search/clips/batch", json={"queries": list(queries), **options})


def similar(
    clip_id: int,
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[SimilarAnswer]:
    """Clips like a clip."""
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(SimilarAnswer, "POST", "/v1/search/similar", json={"clip_id": clip_id, **options})


def captions_of(
    clip_id: int,
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[CaptionAnswer]:
    """Captions for a clip of the library."""
    options = _options(k, offset, weights, min_score, explain)
    return Request(CaptionAnswer, "POST", "/v1/search/captions", json={"clip_id": clip_id, **options})


def describe(video: Path, k: int = 10) -> Request[CaptionAnswer]:
    """Captions for a video file, which is uploaded and not kept. Raises VideoError if it cannot be used."""
    return Request(CaptionAnswer, "POST", "/v1/search/captions/upload", file=video, data={"k": str(k)})


def clip(clip_id: int) -> Request[Clip]:
    """One clip, with its captions."""
    return Request(Clip, "GET", f"/v1/clips/{clip_id}")


def clips(video_id: int | None = None) -> PagedRequest[ListedClip]:
    """All clips, of one video or of the library, fetched a page at a time."""
    return PagedRequest(ListedClip, "/v1/clips", {} if video_id is None else {"video_id": video_id})


def videos(title: str = "") -> PagedRequest[Video]:
    """All videos, or those with the words of `title` in theirs, fetched a page at a time."""
    return PagedRequest(Video, "/v1/videos", {"q": title} if title else {})


def tags() -> PagedRequest[Tag]:
    """All tags, each with the number of its videos."""
    return PagedRequest(Tag, "/v1/tags")


def captions() -> PagedRequest[ListedCaption]:
    """All captions, fetched a page at a time."""
    return PagedRequest(ListedCaption, "/v1/captions")


def index_folder(folder: str, path: str = ".") -> Request[Job]:
    """Have a folder of the service's machine indexed; `folder` is one of `jobs().folders`."""
    return Request(Job, "POST", "/v1/jobs", json={"folder": folder, "path": path})


def thumbnail(clip_id: int) -> BytesRequest:
    """The picture of a clip (WebP)."""
    return BytesRequest(f"/v1/clips/{clip_id}/thumbnail")


def strip(clip_id: int) -> BytesRequest:
    """Eight frames of a clip side by side (WebP)."""
    return BytesRequest(f"/v1/clips/{clip_id}/strip")


def media(clip_id: int) -> BytesRequest:
    """The video file that holds a clip, all of it in memory."""
    return BytesRequest(f"/v1/clips/{clip_id}/media")


def index_video(video: Path) -> Request[Job]:
    """Upload a video, which is kept, and have it indexed."""
    return Request(Job, "POST", "/v1/jobs/upload", file=video)


def job(job_id: str) -> Request[Job]:
    """State and progress of an indexing job."""
    return Request(Job, "GET", f"/v1/jobs/{job_id}")


def jobs() -> Request[JobList]:
    """The jobs since the service began, and what may be indexed."""
    return Request(JobList, "GET", "/v1/jobs")


def cancel(job_id: str) -> Request[Job]:
    """Stop an indexing job. What it has done so far is published."""
    return Request(Job, "POST", f"/v1/jobs/{job_id}/cancel")


def _options(
    k: int,
    offset: int,
    weights: Mapping[str, float] | None,
    min_score: float | None,
    explain: bool,
    filter: Filter | None = None,
) -> dict[str, Any]:
    """The fields that all searches share; what keeps its default is left out."""
    given = {"offset": offset, "weights": dict(weights or {}), "explain": explain}
    options: dict[str, Any] = {"k": k, **{name: value for name, value in given.items() if value}}
    if min_score is not None:
        options["min_score"] = min_score
    if filter is not None:
        options["filter"] = filter.model_dump(mode="json", exclude_none=True)
    return options
