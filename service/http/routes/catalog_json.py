"""Rows of the catalogue as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from indexer.catalog import records
from indexer.catalog.reader import Catalog
from quartet.schemas import library as schemas
from service.search.explanation.answer_json import clip_urls


def listed_clip(clip: records.Clip, address: str) -> schemas.ListedClip:
    """A clip. `address`: what the paths of its library begin with."""
    return schemas.ListedClip(
        clip_id=clip.id,
        video_id=clip.video_id,
        title=clip.title,
        start=clip.start,
        end=clip.end,
        **clip_urls(address, clip.id),
    )


def listed_videos(
    source: Catalog, videos: Sequence[records.Video], address: str, first_clips: int = 0
) -> list[schemas.Video]:
    """Videos with their tags, and with the first `first_clips` clips of each. `address`: as in `listed_clip`."""
    ids = [video.id for video in videos]
    counts, tags = source.clips_per_video(ids), source.tags_of(ids)
    clips = source.first_clips(ids, max(1, first_clips))
    return [
        _listed_video(
            video,
            counts.get(video.id, 0),
            tags[video.id],
            [listed_clip(clip, address) for clip in clips.get(video.id, [])],
            first_clips,
        )
        for video in videos
    ]


def listed_failure(failure: records.Failure, roots: Sequence[records.Root]) -> schemas.Failure:
    """A refused file. `roots`: the folders of the library, one of which it is in."""
    return schemas.Failure(
        file=failure.path.name,
        folder=_folder(failure.path.parent, roots),
        reason=failure.reason,
        detail=failure.detail,
    )


def _folder(folder: Path, roots: Sequence[records.Root]) -> str:
    """A folder as the page shows it: the name of its root and the path in it, not where the root is on the disk."""
    inside = [root for root in roots if folder.is_relative_to(root.path)]
    if not inside:
        return folder.name
    root = max(inside, key=lambda root: len(root.path.parts))
    return (Path(root.name) / folder.relative_to(root.path)).as_posix()


def _listed_video(
    video: records.Video, count: int, tags: list[str], clips: list[schemas.ListedClip], first_clips: int
) -> schemas.Video:
    return schemas.Video(
        video_id=video.id,
        title=video.title,
        root=video.root,
        path=video.relpath,
        bytes=video.size,
        modified=datetime.fromtimestamp(video.mtime, UTC),
        duration=video.duration,
        fps=video.fps,
        width=video.width,
        height=video.height,
        clips=count,
        tags=tags,
        thumbnail_url=clips[0].thumbnail_url if clips else None,
        first_clips=clips[:first_clips],
    )
