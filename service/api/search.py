"""`/v1/search`: clips for a sentence, captions for a clip."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from service.api.deps import EngineDep, problems
from service.openapi import reference
from service.schemas import CaptionAnswer, CaptionSearch, ClipAnswer, ClipSearch
from service.settings import Settings
from service.uploads import received_video

router = APIRouter(prefix="/v1/search", tags=["search"])

_MULTIPART: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "A video file."},
        "k": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        "weights": {"type": "string", "description": "A JSON object.", "examples": ['{"action": 2}']},
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


@router.post("/clips", summary="Clips for a sentence", responses=problems(422, 429, 503))
async def search_clips(wanted: ClipSearch, engine: EngineDep) -> ClipAnswer:
    """Find the clips that a sentence describes."""
    return await engine.search_clips(wanted.query, wanted.k, wanted.weights)


@router.post(
    "/captions",
    summary="Captions for a clip",
    responses=problems(404, 413, 422, 429, 503),
    openapi_extra=_CAPTIONS_BODY,
)
async def search_captions(request: Request, engine: EngineDep) -> CaptionAnswer:
    """Find the captions that describe a clip of the library (JSON) or an uploaded video (multipart form)."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        settings: Settings = request.app.state.settings
        async with received_video(request, settings.max_upload_bytes) as (path, fields):
            return await engine.describe_file(path, fields.k, fields.weights)
    try:
        wanted = CaptionSearch.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None
    return await engine.describe_clip(wanted.clip_id, wanted.k, wanted.weights)
