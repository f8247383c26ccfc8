"""Conditions of the catalogue's queries: which clips are live, and which videos and refused files are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from sqlalchemy import ColumnElement, exists, func, or_, select

from indexer.catalog.records import OTHER_REASONS, VIDEO_SUFFIXES
from indexer.catalog.schema import clips, failures, video_tags, videos
from indexer.search.filters import ClipFilter


def live(video_id: int | None = None) -> ColumnElement[bool]:
    """Clips, or those of one video, that no generation has dropped."""
    there = clips.c.removed.is_(None)
    return there if video_id is None else there & (clips.c.video_id == video_id)


HAS_CLIPS = exists().where(clips.c.video_id == videos.c.id, clips.c.removed.is_(None))
"""Of a video: it has not been removed."""


def titled(words: Sequence[str]) -> list[ColumnElement[bool]]:
    """Videos with live clips, whose titles have all of these words in them, in any case of letters.

    Letters with marks are found however they are written: some systems give a file name as one character for each
    letter (NFC), some as a letter and a mark (NFD).
    """
    forms = [{normalize("NFC", word), normalize("NFD", word)} for word in words]
    return [HAS_CLIPS, *(or_(*(videos.c.title.icontains(form, autoescape=True) for form in each)) for each in forms)]


def chosen_by(wanted: ClipFilter | None) -> list[ColumnElement[bool]]:
    """What a filter asks of videos: ids, tags, paths, dates and lengths."""
    if wanted is None:
        return []
    found: list[ColumnElement[bool]] = []
    if wanted.video_ids is not None:
        found.append(videos.c.id.in_(sorted(wanted.video_ids)))
    if wanted.tags:
        own = video_tags.c
        tagged = select(own.video_id).where(own.tag.in_(list(wanted.tags))).group_by(own.video_id)
        found.append(videos.c.id.in_(tagged.having(func.count() == len(wanted.tags))))
    if wanted.path is not None:
        found.append(_at_path(wanted.path))
    limits = (
        (wanted.after, videos.c.mtime.__ge__),
        (wanted.before, videos.c.mtime.__lt__),
        (wanted.shortest, videos.c.duration.__ge__),
        (wanted.longest, videos.c.duration.__le__),
    )
    return [*found, *(compare(value) for value, compare in limits if value is not None)]


def _at_path(path: str) -> ColumnElement[bool]:
    """Videos in a folder of their root, or whose paths in it fit a pattern, in any case of letters."""
    path = path.strip("/")
    if not set("*?") & set(path):
        place = func.lower(videos.c.relpath)
        return (place == path.lower()) | place.startswith(f"{path.lower()}/", autoescape=True) | (path == "")
    escaped = path.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = escaped.replace("**", "*").replace("*", "%").replace("?", "_")
    return videos.c.relpath.ilike(pattern, escape="\\")


def refused_videos() -> ColumnElement[bool]:
    """The rows of `failures` that are not `Failure.is_other`."""
    named = or_(*(func.lower(failures.c.relpath).like(f"%{suffix}") for suffix in sorted(VIDEO_SUFFIXES)))
    return named | failures.c.reason.not_in(OTHER_REASONS)
