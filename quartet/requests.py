"""What each method of the clients asks the service for, as data: nothing here sends anything.

`quartet.client` sends it, `quartet.answers` reads what comes back. What takes several requests: `quartet.operations`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import httpx2
from pydantic import BaseModel

from quartet.answers import read_answer
from quartet.schemas.jobs import Job, JobList
from quartet.schemas.library import (
    CaptionsRemoved,
    Changed,
    Clip,
    LibraryInfo,
    ListedCaption,
    ListedClip,
    Page,
    Ready,
    Tag,
    Video,
)
from quartet.schemas.question import Part, Then
from quartet.schemas.search import CaptionAnswer, ClipAnswer, ClipAnswers, Filter, SimilarAnswer, Upload
from quartet.schemas.uploads import StoredUpload

R = TypeVar("R")
T = TypeVar("T", bound=BaseModel)

Progress: TypeAlias = Callable[[int, int], None]
"""A function that gets the bytes sent and the bytes in all."""

_TUS = {"Tus-Resumable": "1.0.0"}

PAGE = 500
"""Items of a list that are fetched at a time."""


@dataclass(frozen=True)
class Request(Generic[R]):
    """A request, and how its answer is read.

    file      a file to send as a form with the fields `data`
    content   a body of bytes
    progress  called with the bytes of `file` that are sent, and with all that it has
    """

    read: Callable[[httpx2.Response], R]
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    file: Path | None = None
    data: Mapping[str, str] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None


@dataclass(frozen=True)
class PagedRequest(Generic[T]):
    """A list of `item`, which the service gives a page at a time."""

    item: type[T]
    path: str
    params: Mapping[str, int | str] = field(default_factory=dict)

    def after(self, page: Page[T] | None) -> Request[Page[T]] | None:
        """The request for the page after `page`, or for the first; None if `page` is the last."""
        end = 0 if page is None else page.offset + len(page.items)
        if page is not None and (not page.items or end >= page.total):
            return None
        params = {**self.params, "offset": end, "limit": PAGE}
        return Request(_as(Page[self.item]), "GET", self.path, params)  # type: ignore[name-defined]


def _as(answer: type[T]) -> Callable[[httpx2.Response], T]:
    return partial(read_answer, answer)


def _bytes(response: httpx2.Response) -> bytes:
    return response.content


def _offset(response: httpx2.Response) -> int:
    return int(response.headers["upload-offset"])


def _nothing(response: httpx2.Response) -> None:
    """Of an answer without a body."""


def ready() -> Request[Ready]:
    """What the service serves, and on which device."""
    return Request(_as(Ready), "GET", "/readyz")


def library() -> Request[LibraryInfo]:
    """Levels, counts and example queries."""
    return Request(_as(LibraryInfo), "GET", "/v1/library")


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
    return Request(_as(ClipAnswer), "POST", "/v1/search/clips", json={**given, **options})


def upload(
    file: Path, start: float | None = None, end: float | None = None, progress: Progress | None = None
) -> Request[Upload]:
    """A video, a part of it in seconds, or a picture, for `Part(upload=...)` of later questions.

    The file is not kept. Raises VideoError if it cannot be used.
    """
    data = {name: str(value) for name, value in (("start", start), ("end", end)) if value is not None}
    return Request(_as(Upload), "POST", "/v1/search/uploads", file=file, data=data, progress=progress)


def search_many(
    queries: Sequence[str],
    k: int = 10,
    *,
    offset: int = 0,
    weights: Mapping[str, float] | None = None,
    filter: Filter | None = None,
    min_score: float | None = None,
    explain: bool = False,
) -> Request[list[ClipAnswer]]:
    """Clips for each of up to 64 sentences, from one generation."""
    options = _options(k, offset, weights, min_score, explain, filter)
    return Request(_answers, "POST", "/v1/search/clips/batch", json={"queries": list(queries), **options})


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
    return Request(_as(SimilarAnswer), "POST", "/v1/search/similar", json={"clip_id": clip_id, **options})


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
    return Request(_as(CaptionAnswer), "POST", "/v1/search/captions", json={"clip_id": clip_id, **options})


def describe(
    video: Path, k: int = 10, weights: Mapping[str, float] | None = None, progress: Progress | None = None
) -> Request[CaptionAnswer]:
    """Captions for a video file, which is uploaded and not kept. Raises VideoError if it cannot be used."""
    data = {"k": str(k), **({"weights": json.dumps(dict(weights))} if weights else {})}
    path = "/v1/search/captions/upload"
    return Request(_as(CaptionAnswer), "POST", path, file=video, data=data, progress=progress)


def _answers(response: httpx2.Response) -> list[ClipAnswer]:
    return read_answer(ClipAnswers, response).answers


def clip(clip_id: int) -> Request[Clip]:
    """One clip, with its captions."""
    return Request(_as(Clip), "GET", f"/v1/clips/{clip_id}")


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


def rename_video(video_id: int, title: str) -> Request[Video]:
    """Give a video another title."""
    return Request(_as(Video), "PATCH", f"/v1/videos/{video_id}", json={"title": title})


def tag_videos(video_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()) -> Request[Changed]:
    """Give tags to videos and take tags from them."""
    body = {"video_ids": list(video_ids), "add": list(add), "remove": list(remove)}
    return Request(_as(Changed), "POST", "/v1/videos/tags", json=body)


def remove_videos(video_ids: Sequence[int]) -> Request[Changed]:
    """Take videos out of the library. Their files stay."""
    return Request(_as(Changed), "DELETE", "/v1/videos", {"video_id": list(video_ids)})


def add_captions(file: Path, video: str | None = None, progress: Progress | None = None) -> Request[Job]:
    """Add the captions of a file (.txt, .jsonl, .csv, .srt, .vtt); `video` is what those that name none are about."""
    data = {} if video is None else {"video": video}
    return Request(_as(Job), "POST", "/v1/captions/upload", file=file, data=data, progress=progress)


def remove_captions(caption_ids: Sequence[int] = (), sources: Sequence[str] = ()) -> Request[CaptionsRemoved]:
    """Take captions out of the library, by their ids or by the names of the files that they came from."""
    params = {"caption_id": list(caption_ids), "source": list(sources)}
    return Request(_as(CaptionsRemoved), "DELETE", "/v1/captions", params)


def export(
    clip_ids: Sequence[int], format: Literal["csv", "m3u8", "otio", "edl", "fcpxml"], padding: float = 0.0
) -> Request[bytes]:
    """Clips as a list for a player or an editing program."""
    body = {"clip_ids": list(clip_ids), "format": format, "padding": padding}
    return Request(_bytes, "POST", "/v1/clips/list", json=body)


def verify(content: bool = False) -> Request[Job]:
    """Have the library checked; `content`: the videos too. The job's `verification` says what is wrong."""
    return Request(_as(Job), "POST", "/v1/library/verify", json={"content": content})


def evaluate(file: Path, split: str | None = None) -> Request[Job]:
    """Have it measured how well the library finds the captioned videos of a file. See the job's `evaluation`."""
    data = {} if split is None else {"split": split}
    return Request(_as(Job), "POST", "/v1/library/evaluate/upload", file=file, data=data)


def index_folder(folder: str, path: str = ".") -> Request[Job]:
    """Have a folder of the service's machine indexed; `folder` is one of `jobs().folders`."""
    return Request(_as(Job), "POST", "/v1/jobs", json={"folder": folder, "path": path})


def thumbnail(clip_id: int) -> Request[bytes]:
    """The picture of a clip (WebP)."""
    return Request(_bytes, "GET", f"/v1/clips/{clip_id}/thumbnail")


def strip(clip_id: int) -> Request[bytes]:
    """Eight frames of a clip side by side (WebP)."""
    return Request(_bytes, "GET", f"/v1/clips/{clip_id}/strip")


def media(clip_id: int) -> Request[bytes]:
    """The video file that holds a clip, all of it in memory."""
    return Request(_bytes, "GET", f"/v1/clips/{clip_id}/media")


def create_upload(name: str, size: int) -> Request[StoredUpload]:
    """Begin the upload of a video of `size` bytes that is called `name`."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    return Request(_as(StoredUpload), "POST", "/v1/uploads", headers=headers)


def stored_upload(upload_id: str) -> Request[StoredUpload]:
    """How much of an upload the service has."""
    return Request(_as(StoredUpload), "GET", f"/v1/uploads/{upload_id}", headers=_TUS)


def send_piece(upload_id: str, offset: int, content: bytes) -> Request[int]:
    """Send the bytes of an upload from `offset` on; returns how many of it the service has then."""
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return Request(_offset, "PATCH", f"/v1/uploads/{upload_id}", content=content, headers=headers)


def delete_upload(upload_id: str) -> Request[None]:
    """Give up an upload."""
    return Request(_nothing, "DELETE", f"/v1/uploads/{upload_id}", headers=_TUS)


def index_upload(upload_id: str) -> Request[Job]:
    """Have an upload indexed that is complete. Once more for the same one, it is the same job."""
    return Request(_as(Job), "POST", f"/v1/uploads/{upload_id}/job")


def index_uploads(upload_ids: Sequence[str]) -> Request[Job]:
    """Have uploads indexed by one job, at most 100, all complete. Once more for the same ones, it is the same job."""
    return Request(_as(Job), "POST", "/v1/uploads/job", json={"uploads": list(upload_ids)})


def job(job_id: str) -> Request[Job]:
    """State, progress and in the end the result of a job."""
    return Request(_as(Job), "GET", f"/v1/jobs/{job_id}")


def jobs() -> Request[JobList]:
    """The jobs since the service began, and what may be indexed."""
    return Request(_as(JobList), "GET", "/v1/jobs")


def cancel(job_id: str) -> Request[Job]:
    """Stop a job. What it has done so far is published."""
    return Request(_as(Job), "POST", f"/v1/jobs/{job_id}/cancel")


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
