"""The HTTP application: `create_app` puts routes, problems, middleware and the page together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from model.encoder import Encoder
from quartet import __version__
from service import problems
from service.encoders.model_choice import serving_encoder
from service.http.access import Access
from service.http.api_description import DescribedAPI
from service.http.middleware import BodyLimit, RequestLog
from service.http.routes import clips, jobs, questions, search, session, status
from service.http.routes import library as browse
from service.http.stored_uploads import UploadStore
from service.http.web_pages import router as pages
from service.http.web_pages import static_files
from service.jobs.job_queue import Jobs
from service.search.engine import Engine
from service.settings import Settings

_DESCRIPTION = """Find video clips from a sentence and sentences from a video clip, matched at four semantic
levels: global, entity, action and relation. Errors are problem documents (RFC 9457). Where the service has an API key,
requests carry it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."""


def _opened(settings: Settings, encoder: Encoder | None) -> Engine:
    return Engine.open(settings, encoder, serving_encoder).prepare()


def create_app(
    settings: Settings | None = None, encoder: Encoder | None = None, engine: Engine | None = None
) -> FastAPI:
    """The application for `settings` (by default from the environment).

    At start it opens the library and loads the model, unless an `encoder` or a whole `engine` is given. The
    start fails with a QuartetError where they do not load or do not belong together. An `engine` that
    was given stays open at the end; it belongs to the caller.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = await asyncio.to_thread(_opened, settings, encoder) if engine is None else engine
        app.state.jobs = Jobs(settings, opened.refresh)
        app.state.engine = opened
        yield
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
    )
    app.state.settings, app.state.key, app.state.kept = settings, settings.key(), UploadStore(settings)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Access, key=app.state.key, hosts=settings.allowed_hosts)
    app.add_middleware(RequestLog)
    problems.install(app)
    # Forms are matched before JSON.
    routes = (questions, search, clips, browse, jobs, status, session)
    for router in (*(own.router for own in routes), pages):
        app.include_router(router)
    for path, files in static_files():
        app.mount(path, files)
    return app
