"""Typed clients of the HTTP API, one that blocks and one for asyncio, with the same methods:

    with Client("http://localhost:8000") as quartet:
        quartet.search("a dog runs")

    async with AsyncClient("http://localhost:8000") as quartet:
        await quartet.search("a dog runs")

Each method is declared once, in `quartet.requests` or, where it takes several requests, in `quartet.operations`.
Answers are the models of `quartet.schemas`, the same that the service makes. A problem document becomes the exception
that the service itself had.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

import httpx2
from pydantic import BaseModel

from quartet import errors, operations, requests
from quartet.answers import check, retry_delay
from quartet.operations import Outcome, Pause, Send, Steps
from quartet.requests import PagedRequest, Progress, Request

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=BaseModel)


class _Method(Generic[P, R]):
    """A method of both clients: what `steps` asks the service for, one request after another."""

    def __init__(self, steps: Callable[Concatenate[Send, P], Steps[R]]) -> None:
        self._steps = steps
        _send, *parameters = inspect.signature(steps).parameters.values()
        self._signature = inspect.signature(steps).replace(parameters=parameters)
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._steps)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client._run(self._steps(client._send, *args, **kwargs))

        del method.__wrapped__
        method.__signature__ = self._signature  # type: ignore[attr-defined]
        return method


class _List(Generic[P, T]):
    """A method of both clients that goes through a list of the service."""

    def __init__(self, build: Callable[P, PagedRequest[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client._pages(self._build(*args, **kwargs))

        return method


def _ask(build: Callable[P, Request[R]]) -> _Method[P, R]:
    """A method that sends what a function of `quartet.requests` builds."""

    @functools.wraps(build)
    def steps(send: Send, /, *args: P.args, **kwargs: P.kwargs) -> Steps[R]:
        return send(build(*args, **kwargs))

    signature = inspect.signature(build)
    sender = inspect.Parameter("send", inspect.Parameter.POSITIONAL_ONLY)
    signature = signature.replace(parameters=[sender, *signature.parameters.values()])
    steps.__signature__ = signature  # type: ignore[attr-defined]
    return _Method(steps)


class _Connection:
    """What both clients know of a service, and all that they can ask it.

    api_key  the key of the service, if it has one
    retries  how often a request is sent again that is answered 429, or 503 with a time to wait, after that time

    Every method raises the exception of `quartet.errors` for the problem that the service answers with, BusyError
    when it stays busy, and UnreachableError if it cannot be reached.
    """

    def __init__(self, url: str, api_key: str | None, retries: int) -> None:
        self.url = url.rstrip("/")
        self._retries = retries
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}

    def _send(self, request: Request[R]) -> Steps[R]:
        """The steps to an answer: the request, again as long as the service is busy."""
        for attempt in itertools.count():
            outcome = yield request
            if isinstance(outcome, errors.QuartetError):
                raise outcome
            # A 503 without the header is not over in a moment.
            busy = outcome.status_code == 429 or (outcome.status_code == 503 and "retry-after" in outcome.headers)
            if not busy or attempt == self._retries:
                break
            yield Pause(retry_delay(outcome))
        check(outcome, "" if request.file is None else request.file.name)
        return request.read(outcome)

    @contextmanager
    def _arguments(self, request: Request[Any]) -> Iterator[dict[str, Any]]:
        """What the HTTP library takes. Raises InputError if a file cannot be read, UnreachableError if it fails."""
        headers = {**self._headers, **request.headers}
        given = {"method": request.method, "url": self.url + request.path, "headers": headers}
        names = ("params", "json", "data", "content")
        given |= {name: value for name in names if (value := getattr(request, name)) is not None}
        try:
            if request.file is None:
                yield given
            else:
                with _open(request.file) as file:
                    sent = file if request.progress is None else _Counted(file, request.progress)
                    yield {**given, "files": {"file": (request.file.name, sent)}}
        except (httpx2.HTTPError, UnicodeError) as error:
            reason = str(error).rstrip(".")
            raise errors.UnreachableError(f"The service at {self.url} cannot be reached: {reason}.") from error

    ready = _ask(requests.ready)
    library = _ask(requests.library)
    search = _ask(requests.search)
    upload = _ask(requests.upload)
    search_many = _ask(requests.search_many)
    similar = _ask(requests.similar)
    captions_of = _ask(requests.captions_of)
    describe = _ask(requests.describe)
    clip = _ask(requests.clip)
    clips = _List(requests.clips)
    videos = _List(requests.videos)
    tags = _List(requests.tags)
    captions = _List(requests.captions)
    thumbnail = _ask(requests.thumbnail)
    strip = _ask(requests.strip)
    media = _ask(requests.media)
    rename_video = _ask(requests.rename_video)
    tag_videos = _ask(requests.tag_videos)
    remove_videos = _ask(requests.remove_videos)
    add_captions = _ask(requests.add_captions)
    remove_captions = _ask(requests.remove_captions)
    export = _ask(requests.export)
    verify = _ask(requests.verify)
    evaluate = _ask(requests.evaluate)
    index_folder = _ask(requests.index_folder)
    create_upload = _ask(requests.create_upload)
    stored_upload = _ask(requests.stored_upload)
    send_upload = _Method(operations.send_upload)
    delete_upload = _ask(requests.delete_upload)
    index_upload = _ask(requests.index_upload)
    index_uploads = _ask(requests.index_uploads)
    index_video = _Method(operations.index_video)
    job = _ask(requests.job)
    jobs = _ask(requests.jobs)
    cancel = _ask(requests.cancel)
    wait = _Method(operations.wait)


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

    def _run(self, steps: Steps[R]) -> R:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast(R, end.value)
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                with self._arguments(step) as arguments:
                    outcome = self._http.request(**arguments)
            except errors.QuartetError as error:
                outcome = error

    def _pages(self, paged: PagedRequest[T]) -> Iterator[T]:
        page = None
        while (request := paged.after(page)) is not None:
            page = self._run(self._send(request))
            yield from page.items


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

    async def _run(self, steps: Steps[R]) -> R:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast(R, end.value)
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                with self._arguments(step) as arguments:
                    outcome = await self._http.request(**arguments)
            except errors.QuartetError as error:
                outcome = error

    async def _pages(self, paged: PagedRequest[T]) -> AsyncIterator[T]:
        page = None
        while (request := paged.after(page)) is not None:
            page = await self._run(self._send(request))
            for item in page.items:
                yield item


class _Counted:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file, self._progress = file, progress
        self._size = Path(file.name).stat().st_size

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress(self._file.tell(), self._size)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


def _open(video: Path) -> BinaryIO:
    try:
        return video.open("rb")
    except OSError as error:
        raise errors.InputError(f"{video} cannot be read: {error.strerror}.") from error
