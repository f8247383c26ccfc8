"""`/v1/videos`, `/v1/captions` and `/v1/failures`: what a library holds, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from quartet.schemas import library as schemas
from service.http.routes.catalog_json import listed_videos
from service.http.routes.dependencies import EngineDep, Limit, Offset, problems

router = APIRouter(prefix="/v1", tags=["browse"])

VideoId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Words = Annotated[str, Query(max_length=200, description="Only videos with all of these words in their titles.")]
FirstClips = Annotated[int, Query(ge=0, le=20, description="How many clips of each video to list with it, at most.")]


@router.get("/videos", summary="All videos", responses=problems(422, 503))
def list_videos(
    engine: EngineDep, offset: Offset = 0, limit: Limit = 100, q: Words = "", first_clips: FirstClips = 0
) -> schemas.Page[schemas.Video]:
    """The videos of the library, in order of their ids. All clips of one: `/v1/clips?video_id=`."""
    # No title has a null character, and PostgreSQL takes no text with one.
    catalog, words = engine.library.catalog, q.replace("\0", " ").split()
    items = listed_videos(catalog, catalog.list_videos(offset, limit, words), first_clips)
    return schemas.Page(total=catalog.count_videos(words), offset=offset, limit=limit, items=items)


@router.get("/videos/{video_id}", summary="A video", responses=problems(404, 422, 503))
def get_video(video_id: VideoId, engine: EngineDep) -> schemas.Video:
    """A video."""
    catalog = engine.library.catalog
    (found,) = listed_videos(catalog, [catalog.video(video_id)])
    return found


@router.get("/tags", summary="All tags", responses=problems(422, 503))
def list_tags(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.Tag]:
    """The tags of the videos, in alphabetical order. `quartet tag` gives them."""
    found = engine.library.catalog.tags()
    items = [schemas.Tag(tag=tag, videos=count) for tag, count in found.items()]
    return schemas.Page(total=len(items), offset=offset, limit=limit, items=items[offset : offset + limit])


@router.get("/captions", summary="All captions", responses=problems(422, 503))
def list_captions(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.ListedCaption]:
    """The captions of the library, in order of their ids."""
    catalog = engine.library.catalog
    items = [
        schemas.ListedCaption(caption_id=one.id, text=one.text, source=one.source, clip_id=one.clip_id)
        for one in catalog.list_captions(offset, limit)
    ]
    return schemas.Page(total=catalog.counts().captions, offset=offset, limit=limit, items=items)


@router.get("/failures", summary="Refused files", responses=problems(422, 503))
def list_failures(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.Failure]:
    """The files that indexing refused, each with the reason, in order of their names."""
    catalog = engine.library.catalog
    items = [
        schemas.Failure(file=one.path.name, reason=one.reason, detail=one.detail)
        for one in catalog.failures(offset, limit)
    ]
    return schemas.Page(total=catalog.counts().failures, offset=offset, limit=limit, items=items)
