"""`/v1/search`: clips for sentences, captions for a clip, clips like a clip."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from quartet.schemas.search import (
    CaptionAnswer,
    CaptionSearch,
    ClipAnswer,
    ClipAnswers,
    ClipSearch,
    SimilarAnswer,
    SimilarSearch,
)
from service.http.api_description import reference
from service.http.routes.dependencies import EngineDep, caller, problems, until_disconnect
from service.http.uploads import received_video
from service.search.requests import search_options

router = APIRouter(prefix="/v1/search", tags=["search"])

_MULTIPART: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "A video file."},
        "k": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        "offset": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 0},
        "weights": {"type": "string", "description": "A JSON object.", "examples": ['{"action": 2}']},
        "min_score": {"type": "number"},
        "explain": {"type": "boolean", "default": False},
    },
}
_CAPTIONS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": reference(CaptionSearch)},
            "multipart/form-data": {"schema": _MULTIPART},
        },
    }
}


@router.post(
    "/clips",
    summary="Clips for a sentence",
    response_model=ClipAnswer | ClipAnswers,
    responses=problems(400, 413, 422, 429, 503),
)
async def search_clips(body: ClipSearch, request: Request, engine: EngineDep) -> Response:
    """Find the clips that a sentence describes. A list of sentences gets a list of answers."""
    texts = [body.query] if isinstance(body.query, str) else body.query
    answers = await until_disconnect(request, engine.search_clips(texts, search_options(body), caller(request)))
    for one in answers:
        engine.metrics.answered(one.took_ms)
    answer: ClipAnswer | ClipAnswers = answers[0]
    if not isinstance(body.query, str):
        answer = ClipAnswers(answers=answers)
    # The answer is valid by its making: FastAPI would go through all of it once more.
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post("/similar", summary="Clips like a clip", responses=problems(400, 404, 413, 422, 429, 503))
async def search_similar(body: SimilarSearch, request: Request, engine: EngineDep) -> SimilarAnswer:
    """Find the clips that are nearest to a clip of the library, by the cosine of each level."""
    answer = await until_disconnect(request, engine.similar_clips(body.clip_id, search_options(body), caller(request)))
    engine.metrics.answered(answer.took_ms)
    return answer


@router.post(
    "/captions",
    summary="Captions for a clip",
    responses=problems(400, 404, 408, 413, 422, 429, 503, 507),
    openapi_extra=_CAPTIONS_BODY,
)
async def search_captions(request: Request, engine: EngineDep) -> CaptionAnswer:
    """Find the captions that describe a clip of the library (JSON) or an uploaded video (multipart form)."""
    answer = await _described(request, engine)
    engine.metrics.answered(answer.took_ms)
    return answer


async def _described(request: Request, engine: EngineDep) -> CaptionAnswer:
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        engine.decodings.check()
        async with received_video(request) as (path, fields):
            return await until_disconnect(request, engine.describe_file(path, search_options(fields), caller(request)))
    try:
        body = CaptionSearch.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None
    return await until_disconnect(request, engine.describe_clip(body.clip_id, search_options(body), caller(request)))
