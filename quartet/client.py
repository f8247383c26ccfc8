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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import quote

import httpx2

from quartet import errors, operations
from quartet.answers import check, retry_delay
from quartet.operations import Outcome, Pause, Send, Steps
from quartet.requests import files as file_requests
from quartet.requests import jobs as job_requests
from quartet.requests import library as library_requests
from quartet.requests import searching
from quartet.requests import service as service_requests
from quartet.requests.request import PagedRequest, Progress, Request

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


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
    library  the name of one of its libraries; None: its default one
    retries  how often a request is sent again that is answered 429, or 503 with a time to wait, after that time

    Every method raises the exception of `quartet.errors` for the problem that the service answers with, BusyError
    when it stays busy, and UnreachableError if it cannot be reached.
    """

    def __init__(self, url: str, api_key: str | None, retries: int, library: str | None) -> None:
        self.url = url.rstrip("/")
        self._library = None if library is None else f"{self.url}/v1/libraries/{quote(library, safe='')}"
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
        check(outcome, request.files[0][1].name if request.files else "")
        return request.read(outcome)

    @contextmanager
    def _arguments(self, request: Request[Any]) -> Iterator[dict[str, Any]]:
        """What the HTTP library takes. Raises InputError if a file cannot be read, UnreachableError if it fails."""
        given: dict[str, Any] = {"method": request.method, "url": self._address(request.path)}
        given["headers"] = {**self._headers, **request.headers}
        names = ("params", "json", "data", "content")
        given |= {name: value for name in names if (value := getattr(request, name)) is not None}
        try:
            with ExitStack() as opened:
                if request.files:
                    own = [opened.enter_context(_open(path)) for _, path in request.files]
                    sent = own if request.progress is None else _counted(own, request.progress)
                    given["files"] = [
                        (part, (path.name, file)) for (part, path), file in zip(request.files, sent, strict=True)
                    ]
                yield given
        except (httpx2.HTTPError, UnicodeError) as error:
            reason = str(error).rstrip(".")
            raise errors.UnreachableError(f"The service at {self.url} cannot be reached: {reason}.") from error

    def _address(self, path: str) -> str:
        return self.url + path if self._library is None else self._library + path.removeprefix("/v1")

    health = _ask(service_requests.health)
    ready = _ask(service_requests.ready)
    metrics = _ask(service_requests.metrics)
    libraries = _ask(service_requests.libraries)
    session = _ask(service_requests.session)
    log_in = _ask(service_requests.log_in)
    log_out = _ask(service_requests.log_out)
    search = _ask(searching.search)
    find = _ask(searching.find)
    search_many = _ask(searching.search_many)
    search_files = _ask(searching.search_files)
    upload = _ask(searching.upload)
    similar = _ask(searching.similar)
    captions_of = _ask(searching.captions_of)
    describe = _ask(searching.describe)
    embed = _ask(service_requests.embed)
    library = _ask(library_requests.library)
    clip = _ask(library_requests.clip)
    clips = _List(library_requests.clips)
    video = _ask(library_requests.video)
    videos = _List(library_requests.videos)
    texts = _List(library_requests.texts)
    tags = _List(library_requests.tags)
    folders = _List(library_requests.folders)
    captions = _List(library_requests.captions)
    failures = _List(library_requests.failures)
    thumbnail = _ask(file_requests.thumbnail)
    strip = _ask(file_requests.strip)
    media = _ask(file_requests.media)
    proxy = _ask(file_requests.proxy)
    clip_file = _ask(file_requests.clip_file)
    export = _ask(file_requests.export)
    saved_searches = _ask(library_requests.saved_searches)
    save_search = _ask(library_requests.save_search)
    mark_seen = _ask(library_requests.mark_seen)
    forget_search = _ask(library_requests.forget_search)
    rename_video = _ask(library_requests.rename_video)
    tag_videos = _ask(library_requests.tag_videos)
    remove_videos = _ask(library_requests.remove_videos)
    add_captions = _ask(library_requests.add_captions)
    remove_captions = _ask(library_requests.remove_captions)
    verify = _ask(library_requests.verify)
    evaluate = _ask(library_requests.evaluate)
    index_folder = _ask(job_requests.index_folder)
    index_files = _ask(job_requests.index_files)
    create_upload = _ask(job_requests.create_upload)
    stored_upload = _ask(job_requests.stored_upload)
    send_upload = _Method(operations.send_upload)
    delete_upload = _ask(job_requests.delete_upload)
    index_upload = _ask(job_requests.index_upload)
    index_uploads = _ask(job_requests.index_uploads)
    index_video = _Method(operations.index_video)
    job = _ask(job_requests.job)
    jobs = _ask(job_requests.jobs)
    follow = _ask(job_requests.follow)
    cancel = _ask(job_requests.cancel)
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
        library: str | None = None,
        retries: int = 3,
        timeout: float = 60.0,
        http: httpx2.Client | None = None,
    ) -> None:
        super().__init__(url, api_key, retries, library)
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
                    outcome = self._answered(step, arguments)
            except errors.QuartetError as error:
                outcome = error

    def _answered(self, request: Request[Any], arguments: dict[str, Any]) -> httpx2.Response:
        if request.target is None and request.events is None:
            return self._http.request(**arguments)
        with self._http.stream(**arguments) as response:
            if not response.is_success:
                response.read()
            elif request.events is not None:
                for event in httpx2.EventSource(response):
                    request.events(event.data)
            elif request.target is not None:
                with _written(request.target) as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
        return response

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
        library: str | None = None,
        retries: int = 3,
        timeout: float = 60.0,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        super().__init__(url, api_key, retries, library)
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
                    outcome = await self._answered(step, arguments)
            except errors.QuartetError as error:
                outcome = error

    async def _answered(self, request: Request[Any], arguments: dict[str, Any]) -> httpx2.Response:
        if request.target is None and request.events is None:
            return await self._http.request(**arguments)
        async with self._http.stream(**arguments) as response:
            if not response.is_success:
                await response.aread()
            elif request.events is not None:
                async for event in httpx2.EventSource(response):
                    request.events(event.data)
            elif request.target is not None:
                with _written(request.target) as file:
                    async for piece in response.aiter_bytes():
                        file.write(piece)
        return response

    async def _pages(self, paged: PagedRequest[T]) -> AsyncIterator[T]:
        page = None
        while (request := paged.after(page)) is not None:
            page = await self._run(self._send(request))
            for item in page.items:
                yield item


def _counted(files: Sequence[BinaryIO], progress: Progress) -> list[_Counted]:
    """Files that call `progress` with the bytes that have been read of all of them, and with their size."""
    size = sum(Path(file.name).stat().st_size for file in files)
    counted: list[_Counted] = []

    def read() -> None:
        progress(sum(file.tell() for file in counted), size)

    counted += [_Counted(file, read) for file in files]
    return counted


class _Counted:
    """A file that calls `progress` after each reading."""

    def __init__(self, file: BinaryIO, progress: Callable[[], None]) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress()
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that is at `path` when all of it has been written. Raises InputError if it cannot be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise errors.InputError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _open(video: Path) -> BinaryIO:
    try:
        return video.open("rb")
    except OSError as error:
        raise errors.InputError(f"{video} cannot be read: {error.strerror}.") from error
