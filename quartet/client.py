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
import itertools
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import quote

import httpx2

from quartet import errors, operations
from quartet.answers import check, retry_delay
from quartet.client_methods import ClientList, ClientMethod, request_method
from quartet.local_files import counted_files, open_file, written_file
from quartet.operations import Outcome, Pause, Steps
from quartet.requests import files as file_requests
from quartet.requests import jobs as job_requests
from quartet.requests import library as library_requests
from quartet.requests import searching
from quartet.requests import service as service_requests
from quartet.requests.request import PagedRequest, Request

R = TypeVar("R")
T = TypeVar("T")

_ADDRESS = re.compile(r"https?://[^/]", re.IGNORECASE)


class _Connection:
    """What both clients know of a service, and all that they can ask it.

    api_key  the key of the service, if it has one
    library  the name of one of its libraries; None: its default one
    retries  how often a request is sent again that is answered 429, or 503 with a time to wait, after that time

    Every method raises the exception of `quartet.errors` for the problem that the service answers with, BusyError
    when it stays busy, and UnreachableError if it cannot be reached. Raises InputError for an invalid address.
    """

    def __init__(self, url: str, api_key: str | None, retries: int, library: str | None) -> None:
        if not _ADDRESS.match(url):
            raise errors.InputError(f"{url!r} is not the address of a service. Give one like http://localhost:8000.")
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
                    own = [opened.enter_context(open_file(path)) for _, path in request.files]
                    sent = own if request.progress is None else counted_files(own, request.progress)
                    given["files"] = [
                        (part, (path.name, file)) for (part, path), file in zip(request.files, sent, strict=True)
                    ]
                yield given
        except (httpx2.HTTPError, UnicodeError) as error:
            reason = str(error).rstrip(".")
            raise errors.UnreachableError(f"The service at {self.url} cannot be reached: {reason}.") from error

    def _address(self, path: str) -> str:
        return self.url + path if self._library is None else self._library + path.removeprefix("/v1")

    health = request_method(service_requests.health)
    ready = request_method(service_requests.ready)
    metrics = request_method(service_requests.metrics)
    libraries = request_method(service_requests.libraries)
    session = request_method(service_requests.session)
    log_in = request_method(service_requests.log_in)
    log_out = request_method(service_requests.log_out)
    search = request_method(searching.search)
    find = request_method(searching.find)
    search_many = request_method(searching.search_many)
    search_files = request_method(searching.search_files)
    upload = request_method(searching.upload)
    similar = request_method(searching.similar)
    captions_of = request_method(searching.captions_of)
    describe = request_method(searching.describe)
    embed = request_method(service_requests.embed)
    library = request_method(library_requests.library)
    clip = request_method(library_requests.clip)
    clips = ClientList(library_requests.clips)
    video = request_method(library_requests.video)
    videos = ClientList(library_requests.videos)
    texts = ClientList(library_requests.texts)
    tags = ClientList(library_requests.tags)
    folders = ClientList(library_requests.folders)
    captions = ClientList(library_requests.captions)
    failures = ClientList(library_requests.failures)
    thumbnail = request_method(file_requests.thumbnail)
    strip = request_method(file_requests.strip)
    media = request_method(file_requests.media)
    proxy = request_method(file_requests.proxy)
    clip_file = request_method(file_requests.clip_file)
    export = request_method(file_requests.export)
    saved_searches = request_method(library_requests.saved_searches)
    save_search = request_method(library_requests.save_search)
    mark_seen = request_method(library_requests.mark_seen)
    forget_search = request_method(library_requests.forget_search)
    rename_video = request_method(library_requests.rename_video)
    tag_videos = request_method(library_requests.tag_videos)
    remove_videos = request_method(library_requests.remove_videos)
    add_captions = request_method(library_requests.add_captions)
    remove_captions = request_method(library_requests.remove_captions)
    verify = request_method(library_requests.verify)
    evaluate = request_method(library_requests.evaluate)
    repair = request_method(library_requests.repair)
    tune = request_method(library_requests.tune)
    relocate = request_method(library_requests.relocate)
    export_to_milvus = request_method(library_requests.export_to_milvus)
    index_folder = request_method(job_requests.index_folder)
    index_files = request_method(job_requests.index_files)
    create_upload = request_method(job_requests.create_upload)
    stored_upload = request_method(job_requests.stored_upload)
    send_upload = ClientMethod(operations.send_upload)
    delete_upload = request_method(job_requests.delete_upload)
    index_upload = request_method(job_requests.index_upload)
    index_uploads = request_method(job_requests.index_uploads)
    index_video = ClientMethod(operations.index_video)
    upload_video = ClientMethod(operations.upload_video)
    job = request_method(job_requests.job)
    jobs = request_method(job_requests.jobs)
    follow = request_method(job_requests.follow)
    cancel = request_method(job_requests.cancel)
    wait = ClientMethod(operations.wait)


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
                with written_file(request.target) as file:
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
                with written_file(request.target) as file:
                    async for piece in response.aiter_bytes():
                        file.write(piece)
        return response

    async def _pages(self, paged: PagedRequest[T]) -> AsyncIterator[T]:
        page = None
        while (request := paged.after(page)) is not None:
            page = await self._run(self._send(request))
            for item in page.items:
                yield item
