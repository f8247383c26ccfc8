"""`/v1/videos`, `/v1/captions` and `/v1/failures`: what a library holds, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from service.api.deps import EngineDep, Limit, Offset, problems
from service.api.listed import listed_video
from service.schemas import library as schemas

router = APIRouter(prefix="/v1", tags=["browse"])

VideoId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/videos", summary="All videos", responses=problems(422, 503))
def videos(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.Video]:
    """The videos of the library, in order of their ids. Their clips: `/v1/clips?video_id=`."""
    catalog = engine.library.catalog
    found = catalog.list_videos(offset, limit)
    clips = catalog.clips_per_video([video.id for video in found])
    items = [listed_video(video, clips.get(video.id, 0)) for video in found]
    return schemas.Page(total=catalog.counts().videos, offset=offset, limit=limit, items=items)


@router.get("/videos/{video_id}", summary="A video", responses=problems(404, 422, 503))
def video(video_id: VideoId, engine: EngineDep) -> schemas.Video:
    """A video."""
    catalog = engine.library.catalog
    return listed_video(catalog.video(video_id), catalog.count_clips(video_id))


@router.get("/captions", summary="All captions", responses=problems(422, 503))
def captions(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.ListedCaption]:
    """The captions of the library, in order of their ids."""
    catalog = engine.library.catalog
    items = [
        schemas.ListedCaption(caption_id=one.id, text=one.text, source=one.source, clip_id=one.clip_id)
        for one in catalog.list_captions(offset, limit)
    ]
    return schemas.Page(total=catalog.counts().captions, offset=offset, limit=limit, items=items)


@router.get("/failures", summary="Refused files", responses=problems(422, 503))
def failures(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[schemas.Failure]:
    """The files that indexing refused, each with the reason, in order of their names."""
    catalog = engine.library.catalog
    items = [
        schemas.Failure(file=one.path.name, reason=one.reason, detail=one.detail)
        for one in catalog.failures(offset, limit)
    ]
    return schemas.Page(total=catalog.counts().failures, offset=offset, limit=limit, items=items)
