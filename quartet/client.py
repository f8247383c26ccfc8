"""Typed clients of the HTTP API, one that blocks and one for asyncio, with the same methods:

    with Client("http://localhost:8000") as quartet:
        quartet.search("a dog runs")

    async with AsyncClient("http://localhost:8000") as quartet:
        await quartet.search("a dog runs")

Each method is declared once, in `quartet.requests`. Answers are the models of `quartet.schemas`, the same that the
service makes. A problem document becomes the exception that the service itself had.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, ParamSpec, Self, TypeVar

import httpx2
from pydantic import BaseModel

from quartet import errors, requests
from quartet.answers import read_answer, read_bytes, retry_delay
from quartet.requests import BytesRequest, PagedRequest, Request
from quartet.schemas.jobs import Job
from quartet.schemas.search import ClipAnswer, ClipAnswers

P = ParamSpec("P")
Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T", bound=BaseModel)

_PAGE = 500


class _Connection:
    """What both clients know of a service.

    api_key  the key of the service, if it has one
    retries  how often a request is sent again that is answered 429, or 503 with a time to wait, after that time

    Every method raises InputError for what the service refuses, NotFoundError, BusyError when it stays busy, and
    QuartetError if it cannot be reached or has failed.
    """

    def __init__(self, url: str, api_key: str | None, retries: int) -> None:
        self.url = url.rstrip("/")
        self._retries = retries
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}

    @contextmanager
    def _arguments(self, request: Request[Any] | BytesRequest) -> Iterator[dict[str, Any]]:
        """What the HTTP library takes. Raises InputError if a file cannot be read, QuartetError if nothing answers."""
        given = {"method": request.method, "url": self.url + request.path, "headers": self._headers}
        given |= {name: value for name in ("params", "json", "data") if (value := getattr(request, name))}
        try:
            if request.file is None:
                yield given
            else:
                with _open(request.file) as file:
                    yield {**given, "files": {"file": (request.file.name, file)}}
        except (httpx2.HTTPError, UnicodeError) as error:
            reason = str(error).rstrip(".")
            raise errors.QuartetError(f"The service at {self.url} cannot be reached: {reason}.") from error

    def _should_retry(self, request: Request[Any] | BytesRequest, response: httpx2.Response, attempt: int) -> bool:
        # A 503 without the header is not over in a moment. A file is not sent twice: it may be large.
        told = response.status_code == 429 or (response.status_code == 503 and "retry-after" in response.headers)
        return told and attempt < self._retries and request.file is None


class _Method(Generic[P, R]):
    """A method of a client: it sends with `send` what a function of `quartet.requests` builds."""

    def __init__(self, build: Callable[P, Q], send: Callable[[Any, Q], R]) -> None:
        self._build, self._send = build, send
        self.__doc__ = build.__doc__

    def __get__(self, client: _Connection | None, owner: type) -> Callable[P, R]:
        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            return self._send(client, self._build(*args, **kwargs))

        return method


class Client(_Connection):
    """A client that blocks. See the module.

    timeout  seconds that an answer may take
    http     a client to send requests with, instead of one of its own
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
        super().__init__(url, api_key, retries)
        self._http = http or httpx2.Client(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _response(self, request: Request[Any] | BytesRequest) -> httpx2.Response:
        for attempt in itertools.count():
            with self._arguments(request) as arguments:
                response = self._http.request(**arguments)
            if not self._should_retry(request, response, attempt):
                break
            time.sleep(retry_delay(response))
        return response

    def _send(self, request: Request[T]) -> T:
        return read_answer(self.url, request, self._response(request))

    def _send_bytes(self, request: BytesRequest) -> bytes:
        return read_bytes(self.url, request, self._response(request))

    def wait(self, job_id: str, told: Callable[[Job], None] = lambda job: None, every: float = 0.5) -> Job:
        """Wait until an indexing job has ended; `told` hears of it every `every` seconds meanwhile."""
        while (job := self.job(job_id)).finished is None:
            told(job)
            time.sleep(every)
        return job

    def _send_many(self, request: Request[ClipAnswers]) -> list[ClipAnswer]:
        return self._send(request).answers

    def _pages(self, request: PagedRequest[T]) -> Iterator[T]:
        page, end = self._send(request.page(0, _PAGE)), 0
        while page.items:
            yield from page.items
            end += len(page.items)
            if end >= page.total:
                return
            page = self._send(request.page(end, _PAGE))

    ready = _Method(requests.ready, _send)
    library = _Method(requests.library, _send)
    search = _Method(requests.search, _send)
    upload = _Method(requests.upload, _send)
    search_many = _Method(requests.search_many, _send_many)
    similar = _Method(requests.similar, _send)
    captions_of = _Method(requests.captions_of, _send)
    describe = _Method(requests.describe, _send)
    clip = _Method(requests.clip, _send)
    clips = _Method(requests.clips, _pages)
    videos = _Method(requests.videos, _pages)
    tags = _Method(requests.tags, _pages)
    captions = _Method(requests.captions, _pages)
    thumbnail = _Method(requests.thumbnail, _send_bytes)
    strip = _Method(requests.strip, _send_bytes)
    media = _Method(requests.media, _send_bytes)
    index_video = _Method(requests.index_video, _send)
    index_folder = _Method(requests.index_folder, _send)
    job = _Method(requests.job, _send)
    jobs = _Method(requests.jobs, _send)
    cancel = _Method(requests.cancel, _send)


class AsyncClient(_Connection):
    """A client for asyncio: every method is awaited, lists are read with `async for`. See the module and `Client`."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        retries: int = 3,
        timeout: float = 60.0,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(url, api_key, retries)
        self._http = http or httpx2.AsyncClient(timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def _response(self, request: Request[Any] | BytesRequest) -> httpx2.Response:
        for attempt in itertools.count():
            with self._arguments(request) as arguments:
                response = await self._http.request(**arguments)
            if not self._should_retry(request, response, attempt):
                break
            await asyncio.sleep(retry_delay(response))
        return response

    async def _send(self, request: Request[T]) -> T:
        return read_answer(self.url, request, await self._response(request))

    async def _send_bytes(self, request: BytesRequest) -> bytes:
        return read_bytes(self.url, request, await self._response(request))

    async def wait(self, job_id: str, told: Callable[[Job], None] = lambda job: None, every: float = 0.5) -> Job:
        """Wait until an indexing job has ended; `told` hears of it every `every` seconds meanwhile."""
        while (job := await self.job(job_id)).finished is None:
            told(job)
            await asyncio.sleep(every)
        return job

    async def _send_many(self, request: Request[ClipAnswers]) -> list[ClipAnswer]:
        return (await self._send(request)).answers

    async def _pages(self, request: PagedRequest[T]) -> AsyncIterator[T]:
        page, end = await self._send(request.page(0, _PAGE)), 0
        while page.items:
            for item in page.items:
                yield item
            end += len(page.items)
            if end >= page.total:
                return
            page = await self._send(request.page(end, _PAGE))

    ready = _Method(requests.ready, _send)
    library = _Method(requests.library, _send)
    search = _Method(requests.search, _send)
    upload = _Method(requests.upload, _send)
    search_many = _Method(requests.search_many, _send_many)
    similar = _Method(requests.similar, _send)
    captions_of = _Method(requests.captions_of, _send)
    describe = _Method(requests.describe, _send)
    clip = _Method(requests.clip, _send)
    clips = _Method(requests.clips, _pages)
    videos = _Method(requests.videos, _pages)
    tags = _Method(requests.tags, _pages)
    captions = _Method(requests.captions, _pages)
    thumbnail = _Method(requests.thumbnail, _send_bytes)
    strip = _Method(requests.strip, _send_bytes)
    media = _Method(requests.media, _send_bytes)
    index_video = _Method(requests.index_video, _send)
    index_folder = _Method(requests.index_folder, _send)
    job = _Method(requests.job, _send)
    jobs = _Method(requests.jobs, _send)
    cancel = _Method(requests.cancel, _send)


def _open(video: Path) -> BinaryIO:
    try:
        return video.open("rb")
    except OSError as error:
        raise errors.InputError(f"{video} cannot be read: {error.strerror}.") from error
