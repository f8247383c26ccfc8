"""The HTTP application: `create_app` puts routes, problems, middleware and the page together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from model.encoder import Encoder
from quartet import __version__
from service import problems
from service.http.access import Access
from service.http.addressing import BasePath, HeadAsGet, LibraryPath
from service.http.api_description import DescribedAPI, operation_id
from service.http.keys import Attempts, Keys
from service.http.middleware import EXPOSED_HEADERS, BodyLimit, RequestLog
from service.http.pages.web_pages import router as pages
from service.http.representations import Compressed, TaggedJSON
from service.http.routes import (
    captions,
    clips,
    embeddings,
    jobs,
    maintenance,
    questions,
    quick_search,
    search,
    searches,
    session,
    status,
    uploads,
    video_changes,
)
from service.http.routes import (
    libraries as library_list,
)
from service.http.routes import library as browse
from service.http.served_libraries import ServedLibraries, close_all
from service.http.uploads.resumable_uploads import ResumableUploads
from service.http.uploads.stored_uploads import UploadStore
from service.search.engine import Engine
from service.settings import Settings

_DESCRIPTION = """Find video clips from a sentence and sentences from a video clip, matched at four semantic
levels: global, entity, action and relation. Errors are problem documents (RFC 9457). Where the service has an API key,
requests carry it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."""


@dataclass
class BackgroundStart:
    """The library and the model are opened while the service listens already: `/healthz` answers, `/readyz` says 503.

    ready   called with the engine of each library, in a thread, before they answer
    failed  called when they cannot be opened; `error` is why
    """

    ready: Callable[[Sequence[Engine]], None]
    failed: Callable[[], None]
    error: Exception | None = None


def create_app(
    settings: Settings | None = None,
    encoder: Encoder | None = None,
    engine: Engine | None = None,
    start: BackgroundStart | None = None,
) -> FastAPI:
    """The application for `settings` (by default from the environment).

    At start it opens the libraries and loads their models, unless an `encoder` for all or, of a single library, the
    whole `engine` is given. Without `start` it waits for them, and fails with a QuartetError where they do not load or
    do not belong together. An `engine` that was given stays open at the end; it belongs to the caller.
    """
    settings = settings or Settings()
    libraries = ServedLibraries(settings)

    def open_engines() -> Sequence[Engine]:
        opened = libraries.open(encoder)
        if start is not None:
            start.ready(opened)
        return opened

    async def open_behind(start: BackgroundStart) -> None:
        try:
            libraries.serve(await asyncio.to_thread(open_engines))
        except Exception as error:
            start.error = error
            start.failed()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = None
        if start is None:
            libraries.serve(await asyncio.to_thread(open_engines) if engine is None else [engine])
        else:
            opening = asyncio.create_task(open_behind(start))
        yield
        if opening is not None:
            await opening
        for library in libraries:
            library.proxies.close()
        await libraries.close_jobs()
        if engine is None:
            await asyncio.to_thread(close_all, libraries.engines())

    app = DescribedAPI(
        title="Quartet",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.settings, app.state.libraries, app.state.kept = settings, libraries, UploadStore(settings)
    app.state.resumable = ResumableUploads(app.state.kept, settings.max_upload_bytes)
    app.state.keys, app.state.attempts = keys, attempts = Keys(settings), Attempts()
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(
        Access, keys=keys, attempts=attempts, hosts=settings.allowed_hosts, origins=settings.cors_origins
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            max_age=3600,
        )
    app.add_middleware(TaggedJSON)
    app.add_middleware(Compressed)
    app.add_middleware(RequestLog, cross_origin=bool(settings.cors_origins))
    app.add_middleware(HeadAsGet)
    app.add_middleware(LibraryPath, libraries=libraries)
    app.add_middleware(BasePath, base=settings.base_path)
    problems.install(app)
    for router in (
        search.router,
        questions.router,
        quick_search.router,
        clips.router,
        video_changes.router,
        captions.router,
        maintenance.router,
        browse.router,
        library_list.router,
        searches.router,
        jobs.router,
        uploads.router,
        status.router,
        session.router,
        embeddings.router,
        pages,
    ):
        app.include_router(router)
    return app
