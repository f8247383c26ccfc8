"""A typed client of the HTTP API: `with Client("http://localhost:8000") as quartet: quartet.search("a dog runs")`.

Answers are the models of `quartet.schemas`, the same that the service makes. Errors are those of the project's tree:
a problem document becomes the exception that the service itself had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from quartet import errors
from quartet.schemas.jobs import Job, JobList
from quartet.schemas.library import Clip, LibraryInfo, ListedCaption, ListedClip, Page, Ready, Tag, Video
from quartet.schemas.question import Part, Then
from quartet.schemas.search import CaptionAnswer, ClipAnswer, ClipAnswers, Filter, SimilarAnswer, Upload

T = TypeVar("T", bound=BaseModel)

_PAGE = 500

_ERROR_OF: Mapping[str, type[errors.QuartetError]] = {
    "not-found": errors.NotFoundError,
    "wrong-model": errors.ModelError,
    "not-ready": errors.LibraryError,
}


class Client:
    """See the module.

    api_key  the key of the service, if it has one
    retries  how often a request that is answered 429 is sent again, after the time that the service asks for
    timeout  seconds that an answer may take
    http     a client to send requests with, instead of one of its own

    Every method raises InputError for what the service refuses, NotFoundError, BusyError when it stays busy, and
    QuartetError if it cannot be reached or has failed.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        retries: int = 3,
        timeout: float = 60.0,
        http: httpx2.Client | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._retries = retries
        self._http = http or httpx2.Client(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ready(self) -> Ready:
        """What the service serves, and on which device."""
        return self._get(Ready, "/readyz")

    def library(self) -> LibraryInfo:
        """Levels, counts and example queries."""
        return self._get(LibraryInfo, "/v1/library")

    def search(
        self,
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
        files: Mapping[str, Path] | None = None,
        offset: int = 0,
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        min_score: float | None = None,
        explain: bool = False,
    ) -> ClipAnswer:
        """Clips for a sentence, for parts, or for both.

        files  videos and pictures, by the names that parts have as their `upload`
        """
        wanted = _wanted(k, offset, weights, min_score, explain, filter)
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
        body = {**{name: value for name, value in question.items() if value}, **wanted}
        if not files:
            return self._post(ClipAnswer, "/v1/search/clips", body)
        with ExitStack() as opened:
            sent = {name: (path.name, opened.enter_context(_opened(path))) for name, path in files.items()}
            given = {"files": sent, "data": {"question": json.dumps(body)}}
            return self._call(ClipAnswer, "POST", "/v1/search/clips", **given)

    def upload(self, file: Path, start: float | None = None, end: float | None = None) -> Upload:
        """A video, a part of it in seconds, or a picture, for `Part(upload=...)` of later questions.

        Raises VideoError if it cannot be used.
        """
        fields = {name: str(value) for name, value in (("start", start), ("end", end)) if value is not None}
        with _opened(file) as opened:
            given = {"files": {"file": (file.name, opened)}, "data": fields}
            return self._call(Upload, "POST", "/v1/search/uploads", **given)

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        offset: int = 0,
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        min_score: float | None = None,
        explain: bool = False,
    ) -> list[ClipAnswer]:
        """Clips for each of up to 64 sentences, from one generation."""
        wanted = _wanted(k, offset, weights, min_score, explain, filter)
        return self._post(ClipAnswers, "/v1/search/clips", {"query": list(queries), **wanted}).answers

    def similar(
        self,
        clip_id: int,
        k: int = 10,
        *,
        offset: int = 0,
        weights: Mapping[str, float] | None = None,
        filter: Filter | None = None,
        min_score: float | None = None,
        explain: bool = False,
    ) -> SimilarAnswer:
        """Clips like a clip."""
        wanted = _wanted(k, offset, weights, min_score, explain, filter)
        return self._post(SimilarAnswer, "/v1/search/similar", {"clip_id": clip_id, **wanted})

    def captions_of(
        self,
        clip_id: int,
        k: int = 10,
        *,
        offset: int = 0,
        weights: Mapping[str, float] | None = None,
        min_score: float | None = None,
        explain: bool = False,
    ) -> CaptionAnswer:
        """Captions for a clip of the library."""
        wanted = _wanted(k, offset, weights, min_score, explain)
        return self._post(CaptionAnswer, "/v1/search/captions", {"clip_id": clip_id, **wanted})

    def describe(self, video: Path, k: int = 10) -> CaptionAnswer:
        """Captions for a video file, which is uploaded and not kept. Raises VideoError if it cannot be used."""
        with _opened(video) as file:
            given = {"files": {"file": (video.name, file)}, "data": {"k": str(k)}}
            return self._call(CaptionAnswer, "POST", "/v1/search/captions", **given)

    def clip(self, clip_id: int) -> Clip:
        return self._get(Clip, f"/v1/clips/{clip_id}")

    def clips(self, video_id: int | None = None) -> Iterator[ListedClip]:
        """All clips, of one video or of the library, fetched a page at a time."""
        return self._pages(Page[ListedClip], "/v1/clips", {} if video_id is None else {"video_id": video_id})

    def videos(self, title: str = "") -> Iterator[Video]:
        """All videos, or those with the words of `title` in theirs, fetched a page at a time."""
        return self._pages(Page[Video], "/v1/videos", {"q": title} if title else {})

    def tags(self) -> Iterator[Tag]:
        """All tags, each with the number of its videos."""
        return self._pages(Page[Tag], "/v1/tags", {})

    def captions(self) -> Iterator[ListedCaption]:
        """All captions, fetched a page at a time."""
        return self._pages(Page[ListedCaption], "/v1/captions", {})

    def index_folder(self, folder: str, path: str = ".") -> Job:
        """Have a folder of the service's machine indexed; `folder` is one of `jobs().folders`."""
        return self._post(Job, "/v1/jobs", {"folder": folder, "path": path})

    def job(self, job_id: str) -> Job:
        """State and progress of an indexing job."""
        return self._get(Job, f"/v1/jobs/{job_id}")

    def jobs(self) -> JobList:
        """The jobs since the service began, and what may be indexed."""
        return self._get(JobList, "/v1/jobs")

    def cancel(self, job_id: str) -> Job:
        """Stop an indexing job. What it has done so far is published."""
        return self._call(Job, "POST", f"/v1/jobs/{job_id}/cancel")

    def _pages(self, page: Any, path: str, given: Mapping[str, int | str]) -> Iterator[Any]:
        offset = 0
        while True:
            got = self._call(page, "GET", path, params={**given, "offset": offset, "limit": _PAGE})
            yield from got.items
            offset += len(got.items)
            if not got.items or offset >= got.total:
                return

    def _get(self, answer: type[T], path: str) -> T:
        return self._call(answer, "GET", path)

    def _post(self, answer: type[T], path: str, body: Mapping[str, Any]) -> T:
        return self._call(answer, "POST", path, json=body)

    def _call(self, answer: type[T], method: str, path: str, **given: Any) -> T:
        for left in range(self._retries, -1, -1):
            try:
                response = self._http.request(method, self.url + path, headers=self._headers, **given)
            except (httpx2.HTTPError, UnicodeError) as error:
                said = str(error).rstrip(".")
                raise errors.QuartetError(f"The service at {self.url} cannot be reached: {said}.") from error
            if response.status_code != 429 or not left or "files" in given:
                break
            time.sleep(float(response.headers.get("retry-after", 1)))
        if not response.is_success:
            raise _error(self.url, response, given)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise errors.QuartetError(
                f"What {self.url} answers is not what Quartet answers: {error.errors()[0]['msg']}. Is it a Quartet "
                "service, and of this version?"
            ) from None


def _wanted(
    k: int,
    offset: int,
    weights: Mapping[str, float] | None,
    min_score: float | None,
    explain: bool,
    filter: Filter | None = None,
) -> dict[str, Any]:
    """The fields that all searches share; what keeps its default is left out."""
    given = {"offset": offset, "weights": dict(weights or {}), "explain": explain}
    wanted: dict[str, Any] = {"k": k, **{name: value for name, value in given.items() if value}}
    if min_score is not None:
        wanted["min_score"] = min_score
    if filter is not None:
        wanted["filter"] = filter.model_dump(mode="json", exclude_none=True)
    return wanted


def _opened(video: Path) -> Any:
    try:
        return video.open("rb")
    except OSError as error:
        raise errors.InputError(f"{video} cannot be read: {error.strerror}.") from error


def _error(url: str, response: httpx2.Response, given: Mapping[str, Any]) -> errors.QuartetError:
    """The exception that a problem document (RFC 9457) stands for."""
    try:
        problem = response.json()
        kind, detail = str(problem["type"]).rpartition("#")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return errors.QuartetError(f"{url} answered {response.status_code} and no problem document of Quartet.")
    if response.status_code == 429:
        return errors.BusyError(float(response.headers.get("retry-after", 1)))
    if kind == "unusable-video":
        return errors.VideoError(
            next(iter(given["files"].values()))[0], str(problem.get("reason", "unreadable")), detail
        )
    if kind in _ERROR_OF:
        return _ERROR_OF[kind](detail)
    if response.status_code < 500:
        return errors.InputError(detail)
    return errors.QuartetError(f"{detail} (request {problem.get('request_id', 'unknown')})")
