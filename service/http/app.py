"""The HTTP application: `create_app` puts routes, problems, middleware and the page together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from model.encoder import Encoder
from quartet import __version__
from service import problems
from service.encoders.model_choice import serving_encoder
from service.http.access import Access
from service.http.addressing import BasePath, HeadAsGet
from service.http.api_description import DescribedAPI, operation_id
from service.http.keys import Attempts, Keys
from service.http.middleware import EXPOSED_HEADERS, BodyLimit, RequestLog
from service.http.moment_proxies import MomentProxies
from service.http.pages.web_pages import router as pages
from service.http.representations import Compressed, TaggedJSON
from service.http.routes import (
    clips,
    embeddings,
    jobs,
    questions,
    quick_search,
    search,
    searches,
    session,
    status,
    video_changes,
)
from service.http.routes import library as browse
from service.http.stored_uploads import UploadStore
from service.jobs.job_queue import Jobs
from service.search.engine import Engine
from service.settings import Settings

_DESCRIPTION = """Find video clips from a sentence and sentences from a video clip, matched at four semantic
levels: global, entity, action and relation. Errors are problem documents (RFC 9457). Where the service has an API key,
requests carry it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."""


@dataclass
class BackgroundStart:
    """The library and the model are opened while the service listens already: `/healthz` answers, `/readyz` says 503.

    ready   called with the engine, in a thread, before it answers
    failed  called when they cannot be opened; `error` is why
    """

    ready: Callable[[Engine], None]
    failed: Callable[[], None]
    error: Exception | None = None


def create_app(
    settings: Settings | None = None,
    encoder: Encoder | None = None,
    engine: Engine | None = None,
    start: BackgroundStart | None = None,
) -> FastAPI:
    """The application for `settings` (by default from the environment).

    At start it opens the library and loads the model, unless an `encoder` or a whole `engine` is given. Without
    `start` it waits for them, and fails with a QuartetError where they do not load or do not belong together. An
    `engine` that was given stays open at the end; it belongs to the caller.
    """
    settings = settings or Settings()

    def open_engine() -> Engine:
        opened = Engine.open(settings, encoder, serving_encoder).prepare()
        if start is not None:
            start.ready(opened)
        return opened

    def use(app: FastAPI, opened: Engine) -> None:
        app.state.jobs = jobs_of_service = Jobs(settings, opened.refresh, lambda: opened.named_model)
        opened.metrics.gauge("quartet_jobs", "Indexing jobs.", jobs_of_service.by_state, label="state")
        app.state.engine = opened

    async def open_behind(app: FastAPI, start: BackgroundStart) -> None:
        try:
            use(app, await asyncio.to_thread(open_engine))
        except Exception as error:
            start.error = error
            start.failed()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = None
        if start is None:
            use(app, await asyncio.to_thread(open_engine) if engine is None else engine)
        else:
            opening = asyncio.create_task(open_behind(app, start))
        yield
        if opening is not None:
            await opening
        app.state.proxies.close()
        if hasattr(app.state, "engine"):
            await app.state.jobs.close()
            if engine is None:
                await asyncio.to_thread(app.state.engine.close)

    app = DescribedAPI(
        title="Quartet",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.settings, app.state.kept, app.state.proxies = settings, UploadStore(settings), MomentProxies()
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
    app.add_middleware(BasePath, base=settings.base_path)
    problems.install(app)
    for router in (
        search.router,
        questions.router,
        quick_search.router,
        clips.router,
        video_changes.router,
        browse.router,
        searches.router,
        jobs.router,
        status.router,
        session.router,
        embeddings.router,
        pages,
    ):
        app.include_router(router)
    return app
