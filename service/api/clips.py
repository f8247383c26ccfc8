"""`/v1/clips`: what is known of a clip, its picture and its video."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from service import schemas
from service.api.deps import EngineDep, problems
from service.engine import media_url, strip_url, thumbnail_url
from service.files import file_response, video_type

router = APIRouter(prefix="/v1/clips", tags=["clips"])

# SQLite's integers have 64 bits; a larger id is a malformed request, not a database error.
ClipId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/{clip_id}", summary="A clip", responses=problems(404, 422, 503))
def clip(clip_id: ClipId, engine: EngineDep) -> schemas.Clip:
    """A clip and its captions."""
    found = engine.library.catalog.clip(clip_id)
    captions = engine.library.catalog.captions_of(clip_id)
    return schemas.Clip(
        clip_id=found.id,
        video_id=found.video_id,
        title=found.title,
        start=found.start,
        end=found.end,
        thumbnail_url=thumbnail_url(found.id),
        strip_url=strip_url(found.id),
        media_url=media_url(found.id),
        captions=[schemas.Caption(caption_id=caption.id, text=caption.text) for caption in captions],
    )


@router.get(
    "/{clip_id}/thumbnail",
    summary="Its picture",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}}},
        304: {"description": "Not modified"},
        **problems(404, 422, 503),
    },
)
def thumbnail(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """A picture of the clip (WebP)."""
    path = engine.library.thumbnail(clip_id)
    return file_response(request, path, "image/webp", "public, max-age=3600")


@router.get(
    "/{clip_id}/strip",
    summary="Its contact strip",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}}},
        304: {"description": "Not modified"},
        **problems(404, 422, 503),
    },
)
def strip(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """Eight frames of the clip side by side, from its beginning to its end (WebP)."""
    path = engine.library.strip(clip_id)
    return file_response(request, path, "image/webp", "public, max-age=3600")


@router.get(
    "/{clip_id}/media",
    summary="Its video",
    response_class=Response,
    responses={
        200: {"content": {"video/*": {}}},
        206: {"description": "The byte range asked for"},
        304: {"description": "Not modified"},
        **problems(404, 416, 422, 503),
    },
)
def media(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """The video that holds the clip, whole or by byte ranges. Play it from `start` to `end`."""
    path = engine.library.catalog.clip(clip_id).path
    return file_response(request, path, video_type(path), "public, max-age=0, must-revalidate")
