"""`/healthz`, `/readyz`, `/metrics` and `/v1/library`: is it up, is it ready, how does it do, what does it hold."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from model.levels import LEVEL_MEANINGS, WORDS
from quartet.schemas import library as schemas
from service.http.routes.dependencies import EngineDep, problems
from service.http.served_libraries import ServedLibraries, ServedLibrary, served
from service.observe.metrics import CONTENT_TYPE
from service.problems import NOT_READY, ProblemError
from service.search.engine import Engine

_MEANINGS = {**LEVEL_MEANINGS, WORDS: "what its captions and subtitles say"}

router = APIRouter(tags=["status"])

_EXAMPLES = 6


@router.get("/healthz", summary="The process answers")
async def get_health() -> schemas.Health:
    """The process is running. For model and library, see /readyz."""
    return schemas.Health()


@router.get("/readyz", summary="Ready to search", responses=problems(503))
def get_readiness(engine: EngineDep) -> schemas.Ready:
    """Model and library are loaded and match, and a model process is running."""
    if engine.encoders == 0:
        raise ProblemError(NOT_READY, "No model process is running.", {"Retry-After": "2"})
    trouble = engine.live.trouble
    return schemas.Ready(
        device=engine.device,
        model=model_info(engine),
        generation=engine.generation().name,
        library_path=str(engine.library.path.resolve()),
        library=counts_of(engine),
        encoders=engine.encoders,
        warnings=[f"The new generation cannot be opened; the previous one still answers: {trouble}"] if trouble else [],
    )


@router.get(
    "/metrics",
    summary="Counts and times for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems(503)},
)
def get_metrics(request: Request, engine: EngineDep) -> Response:
    """Requests, latency by stage, batch sizes, queue, caches, index and generation, in the text format."""
    libraries: ServedLibraries = request.app.state.libraries
    return Response(libraries.metrics(), media_type=CONTENT_TYPE)


@router.get("/v1/library", summary="What there is to search", responses=problems(503))
def get_library(request: Request, _: EngineDep) -> schemas.LibraryInfo:
    """What a search client needs: the levels with their weights, counts, example queries."""
    return library_info(served(request), request.app.state.libraries)


def library_info(library: ServedLibrary, libraries: ServedLibraries) -> schemas.LibraryInfo:
    """What there is to search in one of the libraries, which is open."""
    engine = library.engine
    assert engine is not None
    examples = _examples(engine)
    return schemas.LibraryInfo(
        name=library.name,
        libraries=[one.name for one in libraries],
        generation=engine.generation().name,
        model=model_info(engine),
        counts=counts_of(engine),
        levels=[
            schemas.LevelInfo(name=level.name, weight=level.weight, meaning=_MEANINGS.get(level.name, ""))
            for level in engine.levels()
        ],
        examples=list(examples),
        example_clips=list(examples.values()),
    )


def model_info(engine: Engine) -> schemas.ModelInfo:
    return schemas.ModelInfo(name=engine.spec.name, fingerprint=engine.spec.fingerprint, note=engine.spec.note)


def counts_of(engine: Engine) -> schemas.Counts:
    counts = engine.library.catalog.counts()
    return schemas.Counts(videos=counts.videos, clips=counts.clips, captions=counts.captions, failures=counts.failures)


def _examples(engine: Engine) -> dict[str, int]:
    """One caption each of a few clips, evenly spread over the library, and the clip of each."""
    catalog = engine.library.catalog
    total = catalog.counts().clips
    offsets = sorted({i * total // _EXAMPLES for i in range(_EXAMPLES)}) if total else []
    clips = [clip for offset in offsets for clip in catalog.list_clips(offset, 1)]
    return {captions[0].text: clip.id for clip in reversed(clips) if (captions := catalog.captions_of(clip.id))}
