"""Reads the texts that belong to videos: subtitles, captions, and the time of each in its video."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, bindparam, func, select

from indexer.catalog.reader import Catalog
from indexer.catalog.schema import caption_sources, captions, clips
from indexer.catalog.word_index import texts_with
from indexer.search.filters import ClipFilter, ClipTable, phrases_of

Ids = npt.NDArray[np.int64]

_SOURCE = caption_sources.c

_NEWEST = "select max(id) from caption_sources where video_id is not null"
"""Every search asks it, straight from the driver."""


@dataclass(frozen=True)
class TextLine:
    """A text and its time in seconds of its video, if it has one; `source` is the file that it came from."""

    caption_id: int
    text: str
    source: str
    start: float | None
    end: float | None
    language: str | None


def newest_source(catalog: Catalog) -> int:
    """A number that grows with every text that comes to belong to a video; 0 where none does."""
    connection = catalog.engine.raw_connection()
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(_NEWEST)
            (newest,) = cursor.fetchone() or (0,)
            return int(newest or 0)
    finally:
        connection.close()


def text_links(
    catalog: Catalog, table: ClipTable, languages: Collection[str] = (), texts: Collection[int] | None = None
) -> tuple[Ids, Ids]:
    """Which texts belong to which clips: pairs (caption ids, clip ids), each once.

    A text without a time belongs to every clip of its video, one with a time to those that it overlaps.

    languages  only texts in one of these; none: all
    texts      only these; None: all
    """
    columns = (_SOURCE.caption_id, _SOURCE.video_id, _SOURCE.start, _SOURCE.end)
    query = select(*columns).where(_SOURCE.video_id.is_not(None))
    if languages:
        query = query.where(_SOURCE.language.in_(sorted(languages)))
    with catalog.engine.connect() as connection:
        rows = connection.execute(query).all()
    sources = np.array(
        [(text, video, -np.inf if start is None else start, np.inf if end is None else end)
         for text, video, start, end in rows],
        dtype=[("text", "i8"), ("video", "i8"), ("start", "f8"), ("end", "f8")],
    )  # fmt: skip
    if texts is not None:
        sources = sources[np.isin(sources["text"], np.fromiter(texts, np.int64, len(texts)))]
    sources = sources[np.argsort(sources["video"], kind="stable")]
    order = np.argsort(table.video_ids, kind="stable")
    owners = table.video_ids[order]
    pairs = [np.zeros((0, 2), np.int64)]
    for video in np.unique(sources["video"]):
        own = sources[slice(*np.searchsorted(sources["video"], [video, video + 1]))]
        clip = order[slice(*np.searchsorted(owners, [video, video + 1]))]
        overlap = (own["start"][:, None] < table.ends[clip]) & (own["end"][:, None] > table.starts[clip])
        text, place = np.nonzero(overlap)
        pairs.append(np.stack([own["text"][text], table.ids[clip[place]]], axis=1))
    found = np.unique(np.concatenate(pairs), axis=0)
    return found[:, 0].copy(), found[:, 1].copy()


def timed_texts(catalog: Catalog, texts: Collection[int]) -> set[int]:
    """Which of these texts have a time in a video, as subtitles do."""
    query = select(_SOURCE.caption_id).where(_SOURCE.start.is_not(None), _SOURCE.caption_id.in_(list(texts)))
    with catalog.engine.connect() as connection:
        return set(connection.scalars(query))


def clips_by_text(catalog: Catalog, table: ClipTable, wanted: ClipFilter) -> Ids:
    """Ids, ascending, of the clips that a filter keeps by their texts alone (`ClipFilter.by_text`)."""
    kept = table.ids
    if wanted.words is not None:
        chosen = texts_with(catalog.engine, phrases_of(wanted.words))
        kept = np.intersect1d(kept, text_links(catalog, table, wanted.languages, chosen)[1])
    elif wanted.languages:
        kept = np.intersect1d(kept, text_links(catalog, table, wanted.languages)[1])
    if wanted.has_text is not None:
        timed = text_links(catalog, table)[1]
        kept = np.intersect1d(kept, timed) if wanted.has_text else np.setdiff1d(kept, timed)
    return kept


def lines_of(catalog: Catalog, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], TextLine]:
    """The line of each (clip id, caption id): its first time within the clip, in seconds of the video.

    Pairs that are not, or no longer, in the catalogue are left out.
    """
    asked = {"clips": list({clip for clip, _ in pairs}), "texts": list({text for _, text in pairs})}
    with catalog.engine.connect() as connection:
        rows = connection.execute(_LINES, asked).all()
    # Descending, so that the first is the last to be written into the dictionary.
    found = {(row.clip, row.id): TextLine(*row[1:]) for row in rows}
    return {pair: found[pair] for pair in pairs if pair in found}


def _lines() -> Select[Any]:
    """Made once: making it takes longer than it takes to answer."""
    columns = (captions.c.id, captions.c.text, _SOURCE.source, _SOURCE.start, _SOURCE.end, _SOURCE.language)
    timed = select(clips.c.id.label("clip"), *columns).join(caption_sources, _SOURCE.video_id == clips.c.video_id)
    timed = timed.join(captions, captions.c.id == _SOURCE.caption_id)
    within = _SOURCE.start.is_(None) | ((_SOURCE.start < clips.c.end) & (_SOURCE.end > clips.c.start))
    wanted = clips.c.id.in_(bindparam("clips", expanding=True)) & captions.c.id.in_(bindparam("texts", expanding=True))
    return timed.where(wanted, within).order_by(_SOURCE.start.desc(), _SOURCE.id.desc())


_LINES = _lines()


def lines_with(catalog: Catalog, clip_ids: Collection[int], words: str) -> dict[int, TextLine]:
    """For each of these clips that has one, the first line with all of these words."""
    chosen = texts_with(catalog.engine, phrases_of(words))
    table = ClipTable(*catalog.clip_columns(clip_ids))
    texts, owners = text_links(catalog, table, texts=chosen)
    lines = lines_of(catalog, list(zip(owners.tolist(), texts.tolist(), strict=True)))
    first: dict[int, TextLine] = {}
    for (clip, _), line in sorted(lines.items(), key=lambda item: (item[1].start or 0.0, item[1].caption_id)):
        first.setdefault(clip, line)
    return first


def lines_of_video(catalog: Catalog, video_id: int) -> list[TextLine]:
    """What belongs to a video: texts without a time first, then in the order of time. Raises NotFoundError."""
    catalog.video(video_id)
    columns = (captions.c.id, captions.c.text, _SOURCE.source, _SOURCE.start, _SOURCE.end, _SOURCE.language)
    timed = select(*columns).join(captions, captions.c.id == _SOURCE.caption_id)
    timed = timed.where(_SOURCE.video_id == video_id, captions.c.removed.is_(None))
    with catalog.engine.connect() as connection:
        rows = connection.execute(timed.order_by(func.coalesce(_SOURCE.start, -1.0), _SOURCE.id)).all()
    return [TextLine(*row) for row in rows]
