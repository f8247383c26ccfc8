"""`/v1/videos`, `/v1/captions` and `/v1/failures`: what a library holds, a page at a time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from indexer.catalog.text_reader import lines_of_video
from indexer.search.filters import ClipFilter
from quartet.schemas import library as schemas
from service.http.routes.catalog_json import listed_failure, listed_videos
from service.http.routes.dependencies import EngineDep, Limit, Offset, problems

router = APIRouter(prefix="/v1", tags=["browse"])

VideoId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Words = Annotated[str, Query(max_length=200, description="Only videos whose titles contain all of these words.")]
Tags = Annotated[
    list[str] | None, Query(max_length=16, description="Only videos with this tag. Repeat it to require several tags.")
]
Folder = Annotated[str | None, Query(max_length=1000, description="Only videos in this folder of their root.")]
Ids = Annotated[
    list[Annotated[int, Query(ge=1, le=2**63 - 1)]] | None,
    Query(max_length=1000, description="Only this video. Repeat it for several videos."),
]
Order = Annotated[
    Literal["added", "title", "date", "duration", "size"],
    Query(description="Order: as indexed, by title, or newest, longest or largest first."),
]
TextPage = schemas.Page[schemas.TimedText]
FirstClips = Annotated[int, Query(ge=0, le=20, description="Maximum number of clips to list with each video.")]


@router.get("/videos", summary="All videos", responses=problems(422, 503))
def list_videos(
    engine: EngineDep,
    offset: Offset = 0,
    limit: Limit = 100,
    q: Words = "",
    first_clips: FirstClips = 0,
    tag: Tags = None,
    path: Folder = None,
    video_id: Ids = None,
    sort: Order = "added",
) -> schemas.Page[schemas.Video]:
    """The videos of the library, in the order in which they were indexed. All clips of one: `/v1/clips?video_id=`."""
    # No title has a null character, and PostgreSQL takes no text with one.
    catalog, words = engine.library.catalog, q.replace("\0", " ").split()
    wanted = ClipFilter(
        video_ids=None if video_id is None else frozenset(video_id),
        tags=frozenset(tag or ()),
        path=None if path is None else path.replace("\0", " "),
    )
    items = listed_videos(catalog, catalog.list_videos(offset, limit, words, wanted, sort), engine.address, first_clips)
    return schemas.Page(total=catalog.count_videos(words, wanted), offset=offset, limit=limit, items=items)


@router.get("/folders", summary="All folders", responses=problems(422, 503))
def list_folders(engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> schemas.Page[str]:
    """The folders with videos, below the roots of the library, in alphabetical order."""
    found = engine.library.catalog.folders()
    return schemas.Page(total=len(found), offset=offset, limit=limit, items=found[offset : offset + limit])


@router.get("/videos/{video_id}", summary="A video", responses=problems(404, 422, 503))
def get_video(video_id: VideoId, engine: EngineDep) -> schemas.Video:
    """A video."""
    catalog = engine.library.catalog
    (found,) = listed_videos(catalog, [catalog.video(video_id)], engine.address)
    return found


@router.get("/videos/{video_id}/texts", summary="What is said in a video", responses=problems(404, 422, 503))
def list_texts(video_id: VideoId, engine: EngineDep, offset: Offset = 0, limit: Limit = 100) -> TextPage:
    """Captions and subtitles of a video: first those of the whole video, then those with a time, in order of time."""
    found = lines_of_video(engine.library.catalog, video_id)
    items = [schemas.TimedText.model_validate(one, from_attributes=True) for one in found[offset : offset + limit]]
    return schemas.Page(total=len(found), offset=offset, limit=limit, items=items)


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
    """The files that indexing refused, each with the reason, in order of their names.

    Pictures, texts and other files that are neither videos nor named like one are left out.
    """
    catalog = engine.library.catalog
    roots = catalog.roots()
    items = [listed_failure(one, roots) for one in catalog.failures(offset, limit, others=False)]
    return schemas.Page(total=catalog.counts().failures, offset=offset, limit=limit, items=items)
