"""Writing the texts that indexing reads of videos: subtitles next to them and inside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, insert, select

from indexer.catalog.schema import caption_sources, video_texts

_VIDEOS_PER_QUERY = 1000
"""Videos that one query asks about."""


@dataclass(frozen=True)
class TextState:
    """A file that texts were read from, as it was: size in bytes, mtime in seconds."""

    size: int
    mtime: float


@dataclass(frozen=True)
class TimedText:
    """A text of the gallery and its time, in seconds of the video; its language, if that is known."""

    caption_id: int
    start: float | None
    end: float | None
    language: str | None


def known_texts(engine: Engine, video_ids: Sequence[int]) -> dict[int, dict[str, TextState]]:
    """What was read for each of these videos, by name: the subtitle files next to it, and "" for those inside of it."""
    found: dict[int, dict[str, TextState]] = {}
    with engine.connect() as connection:
        for start in range(0, len(video_ids), _VIDEOS_PER_QUERY):
            some = video_ids[start : start + _VIDEOS_PER_QUERY]
            for row in connection.execute(select(video_texts).where(video_texts.c.video_id.in_(some))):
                found.setdefault(row.video_id, {})[row.name] = TextState(row.size, row.mtime)
    return found


def put_texts(
    engine: Engine, video_id: int, name: str, source: str, state: TextState, texts: Sequence[TimedText]
) -> None:
    """Record all texts of a video that came from `name`, in place of those that it had given before.

    source  the file as it is shown to people
    """
    with engine.begin() as connection:
        _forget(connection, video_id, name, source)
        rows = dict.fromkeys((text.caption_id, text.start, text.end, text.language) for text in texts)
        values = [
            {"caption_id": c, "source": source, "video_id": video_id, "start": s, "end": e, "language": language}
            for c, s, e, language in rows
        ]
        if values:
            connection.execute(insert(caption_sources), values)
        state_of = {"video_id": video_id, "name": name, "size": state.size, "mtime": state.mtime}
        connection.execute(insert(video_texts).values(state_of))


def drop_texts(engine: Engine, video_id: int, name: str, source: str) -> None:
    """Forget the texts of a video that came from `name`, which has gone. The texts stay in the gallery."""
    with engine.begin() as connection:
        _forget(connection, video_id, name, source)


def _forget(connection: Connection, video_id: int, name: str, source: str) -> None:
    own = (video_texts.c.video_id == video_id) & (video_texts.c.name == name)
    connection.execute(delete(video_texts).where(own))
    own = (caption_sources.c.video_id == video_id) & (caption_sources.c.source == source)
    connection.execute(delete(caption_sources).where(own))
