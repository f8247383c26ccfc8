"""`/v1/clips`: what is known of a clip, its picture and its video."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from indexer.cutting.clip_file import write_clip
from indexer.cutting.selection_list import Selected, as_list
from quartet.errors import BusyError, InputError
from quartet.schemas import library as schemas
from service.http.addressing import location
from service.http.file_responses import file_response, inside_roots, video_type
from service.http.routes.catalog_json import listed_clip
from service.http.routes.dependencies import EngineDep, Limit, Offset, problems
from service.http.served_libraries import served
from service.search.explanation.answer_json import clip_urls

router = APIRouter(prefix="/v1/clips", tags=["clips"])

# SQLite's integers have 64 bits; a larger id is a malformed request, not a database error.
ClipId = Annotated[int, Path(ge=1, le=2**63 - 1)]
OfVideo = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only clips of this video.")]

Padding = Annotated[float, Query(ge=0, le=60, description="Seconds before and after the clip.")]

_MAX_SECONDS = 600.0
"""Seconds of a file that is cut out: it is made while its client waits."""

_cutting = threading.Semaphore(1)
"""Cutting may take a core: searches come first."""

_LIST_TYPES = {
    "csv": "text/csv",
    "m3u8": "application/vnd.apple.mpegurl",
    "otio": "application/json",
    "edl": "text/plain",
    "fcpxml": "application/xml",
}

_A_DAY = "private, max-age=86400"
"""A clip's pictures never change: another file makes other clips."""


@router.get("", summary="All clips", responses=problems(422, 503))
def list_clips(
    engine: EngineDep, offset: Offset = 0, limit: Limit = 100, video_id: OfVideo = None
) -> schemas.Page[schemas.ListedClip]:
    """The clips of the library, in order of their ids."""
    catalog = engine.library.catalog
    items = [listed_clip(clip, engine.address) for clip in catalog.list_clips(offset, limit, video_id)]
    return schemas.Page(total=catalog.count_clips(video_id), offset=offset, limit=limit, items=items)


@router.get("/{clip_id}", summary="A clip", responses=problems(404, 422, 503))
def get_clip(clip_id: ClipId, engine: EngineDep) -> schemas.Clip:
    """A clip and its captions."""
    found = listed_clip(engine.library.catalog.clip(clip_id), engine.address)
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
    """Eight frames of the clip side by side, from start to end (WebP)."""
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
    """The video that contains the clip, whole or by byte ranges. Play it from `start` to `end`."""
    path = inside_roots(engine.library, engine.library.catalog.clip(clip_id).path)
    return file_response(request, path, video_type(path), "private, max-age=0, must-revalidate")


@router.get(
    "/{clip_id}/proxy",
    summary="It for any browser",
    response_class=Response,
    responses={
        200: {"content": {"video/mp4": {}}},
        206: {"description": "The byte range asked for", "content": {"video/mp4": {}}},
        304: {"description": "Not modified"},
        **problems(404, 416, 422, 429, 503),
    },
)
def get_proxy(clip_id: ClipId, request: Request, engine: EngineDep) -> Response:
    """The clip alone as H.264 and AAC, for browsers that cannot play its video. It begins at 0 s.

    It is made at the first request, one at a time; the others get 429. Clips of up to 120 s.
    """
    clip = engine.library.catalog.clip(clip_id)
    proxies = served(request).proxies
    return file_response(request, proxies.file(clip, inside_roots(engine.library, clip.path)), "video/mp4", _A_DAY)


@router.get(
    "/{clip_id}/file",
    summary="Its part of the video as a file",
    response_class=Response,
    responses={200: {"content": {"video/*": {}}}, **problems(404, 422, 429, 503)},
)
def clip_file(clip_id: ClipId, engine: EngineDep, padding: Padding = 0.0) -> Response:
    """The clip as a file, from its first frame to its last.

    If the cut falls on key frames, the packets are copied; otherwise the clip is encoded again as H.264 and AAC. The
    service makes one file at a time; other requests get 429.
    """
    clip = engine.library.catalog.clip(clip_id)
    start, end = max(clip.start - padding, 0.0), clip.end + padding
    if end - start > _MAX_SECONDS:
        raise InputError(
            f"The clip lasts {end - start:.0f} s, and at most {_MAX_SECONDS:.0f} s are cut. Use `quartet cut`."
        )
    path = inside_roots(engine.library, clip.path)
    with _one_at_a_time():
        folder = tempfile.TemporaryDirectory(prefix="quartet-cut-")
        try:
            written = write_clip(path, start, end, FilePath(folder.name) / "clip.mp4").path
        except BaseException:
            folder.cleanup()
            raise
    name = f"{clip.title} {clip.id}{written.suffix}"
    return FileResponse(
        written, media_type=video_type(written), filename=name, background=BackgroundTask(folder.cleanup)
    )


@router.post(
    "/list",
    summary="A selection as a list",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in _LIST_TYPES.values()}}, **problems(400, 404, 413, 422, 503)},
)
def selection(body: schemas.Selection, request: Request, engine: EngineDep) -> Response:
    """Clips as CSV, as a playlist (M3U8), or for editing programs (OTIO, EDL, FCPXML)."""
    catalog = engine.library.catalog
    base = str(request.base_url).rstrip("/")
    chosen = []
    for clip_id in body.clip_ids:
        clip = catalog.clip(clip_id)
        video = catalog.video(clip.video_id)
        start = max(clip.start - body.padding, 0.0)
        end = min(clip.end + body.padding, max(video.duration, clip.end))
        media = base + location(request, clip_urls(engine.address, clip.id)["media_url"])
        chosen.append(Selected(clip.id, clip.title, media, start, end, video.fps, video.duration))
    disposition = {"Content-Disposition": f'attachment; filename="selection.{body.format}"'}
    return Response(as_list(chosen, body.format), media_type=_LIST_TYPES[body.format], headers=disposition)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _cutting.acquire(blocking=False):
        raise BusyError(5.0)
    try:
        yield
    finally:
        _cutting.release()
