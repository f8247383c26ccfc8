"""Tagging and renaming videos, and removing them from the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter

from indexer.store.management import remove_videos, rename_video, tag_videos
from quartet.schemas import library as schemas
from service.http.content_types import JSON_BODY
from service.http.routes.catalog_json import listed_videos
from service.http.routes.dependencies import EngineDep, problems
from service.search.engine import Engine

router = APIRouter(prefix="/v1/videos", tags=["browse"], dependencies=[JSON_BODY])

VideoId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
Ids = Annotated[
    list[Annotated[int, Query(ge=1, le=2**63 - 1)]],
    Query(alias="video_id", min_length=1, max_length=1000, description="Id of a video. Repeat it for several videos."),
]


@router.post("/tags", summary="Tag videos", responses=problems(400, 404, 409, 413, 415, 422, 503))
def change_tags(body: schemas.VideoTags, engine: EngineDep) -> schemas.Changed:
    """Add tags to videos and remove tags from them. Searches use them at once."""
    library = engine.library
    paths = _paths(engine, body.video_ids)
    roots = {root.name: root.path for root in library.catalog.roots()}
    return schemas.Changed(videos=tag_videos(library.path, paths, body.add, body.remove, roots))


@router.delete("", summary="Remove videos", responses=problems(404, 409, 422, 503))
def delete_videos(video_ids: Ids, engine: EngineDep) -> schemas.Changed:
    """Remove videos and their clips from the library. The files stay.

    Searches stop returning them at once. Index their folder again to add them.
    """
    library = engine.library
    paths = _paths(engine, video_ids)
    roots = {root.name: root.path for root in library.catalog.roots()}
    report = remove_videos(library.path, paths, roots=roots)
    engine.refresh()
    return schemas.Changed(videos=report.removed)


@router.patch("/{video_id}", summary="Rename a video", responses=problems(400, 404, 409, 413, 415, 422, 503))
def change_video(video_id: VideoId, body: schemas.VideoTitle, engine: EngineDep) -> schemas.Video:
    """Give a video another title. Its file keeps its name."""
    library = engine.library
    rename_video(library.path, video_id, body.title, {root.name: root.path for root in library.catalog.roots()})
    (changed,) = listed_videos(library.catalog, [library.catalog.video(video_id)], engine.address)
    return changed


def _paths(engine: Engine, video_ids: Sequence[int]) -> list[Path]:
    """Raises NotFoundError."""
    return [engine.library.catalog.video(video_id).path for video_id in dict.fromkeys(video_ids)]
