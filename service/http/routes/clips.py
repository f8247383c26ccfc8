"""`/v1/clips`: what is known of a clip, its picture and its video."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from quartet.schemas import library as schemas
from service.http.file_responses import file_response, inside_roots, video_type
from service.http.routes.catalog_json import listed_clip
from service.http.routes.dependencies import EngineDep, Limit, Offset, problems

router = APIRouter(prefix="/v1/clips", tags=["clips"])

# SQLite's integers have 64 bits; a larger id is a malformed request, not a database error.
ClipId = Annotated[int, Path(ge=1, le=2**63 - 1)]
OfVideo = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only clips of this video.")]

_A_DAY = "private, max-age=86400"
"""A clip's pictures never change: another file makes other clips."""


@router.get("", summary="All clips", responses=problems(422, 503))
def list_clips(
    engine: EngineDep, offset: Offset = 0, limit: Limit = 100, video_id: OfVideo = None
) -> schemas.Page[schemas.ListedClip]:
    """The clips of the library, in order of their ids."""
    catalog = engine.library.catalog
    items = [listed_clip(clip) for clip in catalog.list_clips(offset, limit, video_id)]
    return schemas.Page(total=catalog.count_clips(video_id), offset=offset, limit=limit, items=items)


@router.get("/{clip_id}", summary="A clip", responses=problems(404, 422, 503))
def get_clip(clip_id: ClipId, engine: EngineDep) -> schemas.Clip:
    """A clip and its captions."""
    found = listed_clip(engine.library.catalog.clip(clip_id))
    captions = engine.library.catalog.captions_of(clip_id)
    return schemas.Clip(
        **found.model_dump(),
        captions=[schemas.Caption(caption_id=caption.id, text=caption.text) for caption in captions],
    )


@router.get(
    "/{clip_id}/thumbnail",
    summary="Its picture",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}}},
        304: {"description": "Not modified"},
        **problems(404, 416, 422, 503),
    },
)
def get_thumbnail(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """A picture of the clip (WebP)."""
    path = engine.library.thumbnail(clip_id)
    return file_response(request, path, "image/webp", _A_DAY)


@router.get(
    "/{clip_id}/strip",
    summary="Its contact strip",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}}},
        304: {"description": "Not modified"},
        **problems(404, 416, 422, 503),
    },
)
def get_strip(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """Eight frames of the clip side by side, from its beginning to its end (WebP)."""
    path = engine.library.strip(clip_id)
    return file_response(request, path, "image/webp", _A_DAY)


@router.get(
    "/{clip_id}/media",
    summary="Its video",
    response_class=Response,
    responses={
        200: {"content": {"video/*": {}}},
        206: {"description": "The byte range asked for", "content": {"video/*": {}}},
        304: {"description": "Not modified"},
        **problems(404, 416, 422, 503),
    },
)
def get_media(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """The video that holds the clip, whole or by byte ranges. Play it from `start` to `end`."""
    path = inside_roots(engine.library, engine.library.catalog.clip(clip_id).path)
    return file_response(request, path, video_type(path), "private, max-age=0, must-revalidate")
