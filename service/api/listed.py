"""Rows of the catalogue as JSON."""

from __future__ import annotations

from indexer import catalog
from service.answers import media_url, strip_url, thumbnail_url
from service.schemas import library as schemas


def listed_clip(clip: catalog.Clip) -> schemas.ListedClip:
    return schemas.ListedClip(
        clip_id=clip.id,
        video_id=clip.video_id,
        title=clip.title,
        start=clip.start,
        end=clip.end,
        thumbnail_url=thumbnail_url(clip.id),
        strip_url=strip_url(clip.id),
        media_url=media_url(clip.id),
    )


def listed_video(video: catalog.Video, clips: int) -> schemas.Video:
    return schemas.Video(
        video_id=video.id,
        title=video.title,
        root=video.root,
        path=video.relpath,
        bytes=video.size,
        duration=video.duration,
        fps=video.fps,
        width=video.width,
        height=video.height,
        clips=clips,
    )
