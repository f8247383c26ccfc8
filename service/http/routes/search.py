"""`/v1/search`: clips for sentences, captions for a clip, clips like a clip."""

from __future__ import annotations

from fastapi import APIRouter, Request

from quartet.schemas.search import MAX_OFFSET, CaptionSearch, ClipBatchSearch, ClipSearch, SimilarSearch
from quartet.schemas.search_answers import CaptionAnswer, ClipAnswer, ClipAnswers, SimilarAnswer
from service.http.content_types import JSON_BODY, file_form, require_form
from service.http.routes.dependencies import EngineDep, caller, problems, ready_json, until_disconnect
from service.http.routes.questions import clip_answer
from service.http.uploads.searched_files import received_video
from service.search.requests import search_options

router = APIRouter(prefix="/v1/search", tags=["search"], dependencies=[JSON_BODY])

_VIDEO = file_form(
    "A video file.",
    k={"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    offset={"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    weights={"type": "string", "description": "A JSON object.", "examples": ['{"action": 2}']},
    min_score={"type": "number"},
    explain={"type": "boolean", "default": False},
)


@router.post("/clips", summary="Clips for a question", responses=problems(400, 404, 413, 415, 422, 429, 503))
async def search_clips(body: ClipSearch, request: Request, engine: EngineDep) -> ClipAnswer:
    """Find the clips that a question describes: a sentence, or parts with weights above or below 0."""
    return ready_json(await until_disconnect(request, clip_answer(engine, body, caller(request))))


@router.post("/clips/batch", summary="Clips for several sentences", responses=problems(400, 413, 415, 422, 429, 503))
async def search_clips_batch(body: ClipBatchSearch, request: Request, engine: EngineDep) -> ClipAnswers:
    """Find the clips that each of several sentences describes. All answers come from one generation."""
    answers = await until_disconnect(request, engine.search_clips(body.queries, search_options(body), caller(request)))
    for one in answers:
        engine.metrics.answered(one.took_ms)
    return ready_json(ClipAnswers(answers=answers))


@router.post("/similar", summary="Clips like a clip", responses=problems(400, 404, 413, 415, 422, 429, 503))
async def search_similar(body: SimilarSearch, request: Request, engine: EngineDep) -> SimilarAnswer:
    """Find the clips that are nearest to a clip of the library, by the cosine of each level."""
    answer = await until_disconnect(request, engine.similar_clips(body.clip_id, search_options(body), caller(request)))
    engine.metrics.answered(answer.took_ms)
    return answer


@router.post("/captions", summary="Captions for a clip", responses=problems(400, 404, 413, 415, 422, 429, 503))
async def search_captions(body: CaptionSearch, request: Request, engine: EngineDep) -> CaptionAnswer:
    """Find the captions that describe a clip of the library."""
    answer = await until_disconnect(request, engine.describe_clip(body.clip_id, search_options(body), caller(request)))
    engine.metrics.answered(answer.took_ms)
    return answer


@router.post(
    "/captions/upload",
    summary="Captions for an uploaded video",
    responses=problems(400, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra=_VIDEO,
)
async def search_captions_upload(request: Request, engine: EngineDep) -> CaptionAnswer:
    """Find the captions that describe an uploaded video. The video is deleted after analysis."""
    require_form(request)
    engine.decodings.check()
    async with received_video(request) as (path, fields):
        answer = await until_disconnect(request, engine.describe_file(path, search_options(fields), caller(request)))
    engine.metrics.answered(answer.took_ms)
    return answer
