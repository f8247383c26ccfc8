"""Reading the catalogue: which videos, clips and captions a library holds, and which files it refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Row, Select, bindparam, func, or_, select

from indexer.catalog.conditions import HAS_CLIPS, chosen_by, live, refused_videos, titled
from indexer.catalog.records import (
    Caption,
    Clip,
    Counts,
    Failure,
    GenerationNote,
    Root,
    Video,
)
from indexer.catalog.schema import (
    caption_sources,
    captions,
    clips,
    failures,
    generations,
    open_database,
    roots,
    unfinished,
    video_tags,
    videos,
)
from indexer.catalog.writing_session import IDENTITY, fact
from indexer.search.filters import ClipFilter, ClipTable
from quartet.errors import InputError, NotFoundError

VIDEO_ORDERS: Mapping[str, tuple[ColumnElement[object], ...]] = {
    "added": (),
    "title": (func.lower(videos.c.title),),
    "date": (videos.c.mtime.desc(),),
    "duration": (videos.c.duration.desc(),),
    "size": (videos.c.size.desc(),),
}
"""Orders of lists of videos: in the order of indexing, alphabetical, the newest, longest and largest first."""


_CONDITIONS = 200
"""Conditions of one query: SQLite takes up to 1,000."""


class Catalog:
    """Read access to catalog.sqlite. Safe to use from many threads and next to a running indexer.

    Lists and counts leave out clips that a newer generation has dropped; look-ups by id still find them
    until nobody can hold a generation with them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = open_database(path)
        self._elsewhere: dict[str, Path] = {}

    def close(self) -> None:
        self.engine.dispose()

    def identity(self) -> str | None:
        """Which library it is the catalogue of (`indexer.disk.library_identity`); None where that is not noted yet."""
        with self.engine.connect() as connection:
            return fact(connection, IDENTITY)

    def generations(self) -> dict[int, GenerationNote]:
        """What is noted of the generations on disk, by their numbers. Empty for an earlier version's library."""
        return {row.number: GenerationNote(row.stamp, row.manifest, row.settled) for row in self._rows(_GENERATIONS)}

    def roots(self) -> list[Root]:
        """The named folders that videos are in, in order of their names."""
        rows = self._rows(select(roots.c.name, roots.c.path).order_by(roots.c.name))
        return [Root(row.name, self._elsewhere.get(row.name, Path(row.path)), Path(row.path)) for row in rows]

    def relocate(self, elsewhere: Mapping[str, Path]) -> None:
        """Take roots, by name, to be elsewhere than the catalogue says. Raises InputError for an unknown name."""
        names = [root.name for root in self.roots()]
        unknown = sorted(set(elsewhere) - set(names))
        if unknown:
            raise InputError(f"The library has no root {unknown[0]!r}. Its roots are: {', '.join(names) or 'none'}.")
        self._elsewhere = {name: path.resolve() for name, path in elsewhere.items()}

    def clip(self, clip_id: int) -> Clip:
        found = self.clips([clip_id])
        if not found:
            raise NotFoundError(f"There is no clip {clip_id} in this library.")
        return found[clip_id]

    def clips(self, ids: Sequence[int]) -> dict[int, Clip]:
        """Clips by id; ids that do not exist are left out."""
        found = self._rows(_CLIPS_BY_ID, {"ids": [int(i) for i in ids]})
        return {row.id: self._clip(row) for row in found}

    def list_clips(self, offset: int = 0, limit: int | None = 100, video_id: int | None = None) -> list[Clip]:
        """Clips, of one video or of all, in order of id; a limit of None lists all."""
        found = self._rows(_clips().where(live(video_id)).order_by(clips.c.id).offset(offset).limit(limit))
        return [self._clip(row) for row in found]

    def count_clips(self, video_id: int | None = None) -> int:
        """How many clips there are, of one video or of all."""
        return int(self._rows(select(func.count()).select_from(clips).where(live(video_id)))[0][0])

    def clips_per_video(self, video_ids: Sequence[int]) -> dict[int, int]:
        """How many clips each of these videos has; those without any are left out."""
        query = select(clips.c.video_id, func.count()).where(live(), clips.c.video_id.in_(video_ids))
        return {row[0]: row[1] for row in self._rows(query.group_by(clips.c.video_id))}

    def clip_table(self) -> ClipTable:
        """Video and time of every clip, also of those that only the previous generation still has."""
        # Straight from the driver: a million rows in a second.
        with self.engine.connect() as connection:
            raw = connection.connection.cursor()
            rows = raw.execute('select id, video_id, start, "end" from clips order by id').fetchall()
            raw.close()
        columns = np.array(rows, dtype=[("id", "i8"), ("video", "i8"), ("start", "f8"), ("end", "f8")])
        return ClipTable(*(np.ascontiguousarray(columns[name]) for name in ("id", "video", "start", "end")))

    def clip_columns(self, ids: Collection[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What a `ClipTable` of these clips alone is made of."""
        found = sorted(self.clips(list(ids)).values(), key=lambda clip: clip.id)
        rows = [(clip.id, clip.video_id, clip.start, clip.end) for clip in found]
        columns = np.array(rows, dtype=[("id", "i8"), ("video", "i8"), ("start", "f8"), ("end", "f8")])
        return columns["id"], columns["video"], columns["start"], columns["end"]

    def video(self, video_id: int) -> Video:
        found = self._rows(_videos().where(videos.c.id == video_id))
        if not found:
            raise NotFoundError(f"There is no video {video_id} in this library.")
        return self._video(found[0])

    def first_clips(self, video_ids: Collection[int], most: int) -> dict[int, list[Clip]]:
        """The first `most` clips of each of these videos, in order of id; those without any are left out."""
        place = func.row_number().over(partition_by=clips.c.video_id, order_by=clips.c.id)
        ranked = select(clips.c.id, place.label("place")).where(live(), clips.c.video_id.in_(video_ids)).subquery()
        query = _clips().join(ranked, ranked.c.id == clips.c.id).where(ranked.c.place <= most).order_by(clips.c.id)
        found: dict[int, list[Clip]] = {}
        for row in self._rows(query):
            found.setdefault(row.video_id, []).append(self._clip(row))
        return found

    def list_videos(
        self,
        offset: int = 0,
        limit: int | None = 100,
        words: Sequence[str] = (),
        wanted: ClipFilter | None = None,
        sort: str = "added",
    ) -> list[Video]:
        """Videos with all of `words` in their titles; a limit of None lists all.

        wanted  only those that its tags, path, dates, lengths and ids of videos keep
        sort    a key of `VIDEO_ORDERS`
        """
        query = _videos().where(*titled(words), *chosen_by(wanted)).order_by(*VIDEO_ORDERS[sort], videos.c.id)
        return [self._video(row) for row in self._rows(query.offset(offset).limit(limit))]

    def videos_under(self, paths: Sequence[Path]) -> list[Video]:
        """The videos that are at these places (absolute) or in folders there, in order of id."""
        found = {row.id: row for where in self._under(paths) for row in self._rows(_videos().where(HAS_CLIPS, where))}
        return [self._video(found[video_id]) for video_id in sorted(found)]

    def video_ids_under(self, paths: Sequence[Path]) -> list[int]:
        """Their ids alone, ascending."""
        query = select(videos.c.id).where(HAS_CLIPS)
        return sorted({row.id for where in self._under(paths) for row in self._rows(query.where(where))})

    def latest_under(self, path: Path) -> Video | None:
        """The one of them that was added last."""
        found = [
            row
            for where in self._under([path])
            for row in self._rows(_videos().where(HAS_CLIPS, where).order_by(videos.c.id.desc()).limit(1))
        ]
        return self._video(found[0]) if found else None

    def video_paths(self) -> dict[int, Path]:
        """Where the videos are, by their ids."""
        query = select(videos.c.id, videos.c.relpath, *_root_columns()).join(roots).where(HAS_CLIPS)
        return {row.id: self._path(row) for row in self._rows(query)}

    def video_sizes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The bytes of all videos, ascending, and their ids."""
        with self.engine.connect() as connection, closing(connection.connection.cursor()) as raw:
            raw.execute("select size, id from videos order by size, id")
            found = np.array(raw.fetchall(), dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def media_sums(self) -> tuple[float, int]:
        """Seconds and bytes of all videos."""
        sums = func.coalesce(func.sum(videos.c.duration), 0.0), func.coalesce(func.sum(videos.c.size), 0)
        (row,) = self._rows(select(*sums).where(HAS_CLIPS))
        return float(row[0]), int(row[1])

    def videos(self, ids: Sequence[int]) -> list[Video]:
        """Videos by id, in order of id; those without clips are left out."""
        query = _videos().where(HAS_CLIPS, videos.c.id.in_(ids)).order_by(videos.c.id)
        return [self._video(row) for row in self._rows(query)]

    def count_videos(self, words: Sequence[str] = (), wanted: ClipFilter | None = None) -> int:
        """How many videos `list_videos` has of these."""
        query = select(func.count()).select_from(videos).where(*titled(words), *chosen_by(wanted))
        return int(self._rows(query)[0][0])

    def folders(self) -> list[str]:
        """The folders that hold videos, below their roots, in alphabetical order. A root itself is not named."""
        query = select(videos.c.relpath).where(videos.c.id.in_(select(clips.c.video_id).where(live())))
        return sorted({parent for row in self._rows(query) if (parent := row[0].rpartition("/")[0])})

    def tags(self) -> dict[str, int]:
        """How many videos have each tag, in order of the tags."""
        tagged = video_tags.c.video_id.in_(select(clips.c.video_id).where(live()))
        query = select(video_tags.c.tag, func.count().label("n")).where(tagged)
        return {row.tag: row.n for row in self._rows(query.group_by(video_tags.c.tag).order_by(video_tags.c.tag))}

    def tags_of(self, video_ids: Collection[int]) -> dict[int, list[str]]:
        """The tags of videos, in order; a video without any has an empty list."""
        found: dict[int, list[str]] = {int(video_id): [] for video_id in video_ids}
        query = select(video_tags).where(video_tags.c.video_id.in_(list(found))).order_by(video_tags.c.tag)
        for row in self._rows(query):
            found[row.video_id].append(row.tag)
        return found

    def chosen_videos(self, wanted: ClipFilter) -> set[int]:
        """Ids of the videos that a filter keeps by their tags, paths, dates and lengths."""
        return {row[0] for row in self._rows(select(videos.c.id).where(*chosen_by(replace(wanted, video_ids=None))))}

    def caption(self, caption_id: int) -> Caption:
        found = self.captions([caption_id])
        if not found:
            raise NotFoundError(f"There is no caption {caption_id} in this library.")
        return found[caption_id]

    def captions(self, ids: Sequence[int]) -> dict[int, Caption]:
        """Captions by id; ids that do not exist are left out."""
        return self._captions(captions.c.id.in_([int(i) for i in ids]))

    def list_captions(self, offset: int = 0, limit: int = 100) -> list[Caption]:
        """Captions in order of id."""
        chosen = (
            select(captions.c.id)
            .where(captions.c.removed.is_(None))
            .order_by(captions.c.id)
            .offset(offset)
            .limit(limit)
        )
        found = self._captions(captions.c.id.in_(chosen))
        return [found[caption_id] for caption_id in sorted(found)]

    def captions_of(self, clip_id: int) -> list[Caption]:
        """The captions of a clip, in order of id: those of its video, less those of other parts of it.

        Raises NotFoundError.
        """
        clip, source = self.clip(clip_id), caption_sources.c
        within = source.start.is_(None) | ((source.start < clip.end) & (source.end > clip.start))
        described = select(source.caption_id).where(source.video_id == clip.video_id, within)
        found = self._captions(captions.c.id.in_(described) & captions.c.removed.is_(None))
        return [found[caption_id] for caption_id in sorted(found)]

    def require_readable(self) -> None:
        """Raises what the database raises if its tables cannot be read."""
        for table in (videos, clips, captions, failures, unfinished):
            self._rows(select(table).limit(1))

    def failures(self, offset: int = 0, limit: int | None = None, others: bool = True) -> list[Failure]:
        """Refused files in order of their paths; a limit of None lists all.

        `others`: also those that nobody takes for videos, which `counts` leaves out.
        """
        query = select(failures, *_root_columns()).join(roots).order_by(failures.c.relpath, failures.c.id)
        query = query if others else query.where(refused_videos())
        query = query.offset(offset).limit(limit)
        return [Failure(self._path(row), row.reason, row.detail) for row in self._rows(query)]

    def counts(self) -> Counts:
        queries = (
            select(func.count()).select_from(videos).where(HAS_CLIPS),
            select(func.count()).select_from(clips).where(live()),
            select(func.count()).select_from(captions).where(captions.c.removed.is_(None)),
            select(func.count()).select_from(failures).where(refused_videos()),
            select(func.count()).select_from(unfinished),
        )
        (row,) = self._rows(select(*(query.scalar_subquery() for query in queries)))
        return Counts(*row)

    def _captions(self, where: ColumnElement[bool]) -> dict[int, Caption]:
        source = caption_sources.c
        clip = select(func.min(clips.c.id)).where(clips.c.video_id == source.video_id, live())
        middle = (source.start + source.end) / 2
        at_its_time = clip.where(clips.c.start <= middle, clips.c.end > middle)
        query = (
            select(
                captions.c.id,
                captions.c.text,
                source.source,
                func.coalesce(at_its_time.scalar_subquery(), clip.scalar_subquery()).label("clip_id"),
            )
            .join(caption_sources, source.caption_id == captions.c.id)
            .where(where)
            .order_by(source.id.desc())
        )
        # Descending, so that the first source is the last to be written into the dictionary.
        return {row.id: Caption(row.id, row.text, row.source, row.clip_id) for row in self._rows(query)}

    def _under(self, paths: Sequence[Path]) -> Iterator[ColumnElement[bool]]:
        """Conditions for an index: a video that fulfils one is at one of these places, or in a folder there."""
        found: list[ColumnElement[bool]] = []
        # PostgreSQL orders texts as people of some country do; as bytes they are in order of their folders.
        place = videos.c.relpath if self.engine.dialect.name == "sqlite" else videos.c.relpath.collate("C")
        for root_id, folder in self._root_folders():
            in_root = videos.c.root_id == root_id
            for path in paths:
                if folder.is_relative_to(path):
                    found.append(in_root)
                elif path.is_relative_to(folder):
                    relpath = str(path.relative_to(folder)).encode("utf-8", "replace").decode("utf-8")
                    # "0" comes after "/".
                    found += [in_root & (place == relpath), in_root & (place > f"{relpath}/") & (place < f"{relpath}0")]
        for start in range(0, len(found), _CONDITIONS):
            yield or_(*found[start : start + _CONDITIONS])

    def _root_folders(self) -> list[tuple[int, Path]]:
        return [(row.id, self._elsewhere.get(row.name, Path(row.path))) for row in self._rows(select(roots))]

    def _rows(self, query: Select, parameters: Mapping[str, object] | None = None) -> Sequence[Row]:
        with self.engine.connect() as connection:
            return connection.execute(query, parameters).all()

    def _path(self, row: Row) -> Path:
        return _joined(self._elsewhere.get(row.root_name, row.root_path), row.relpath)

    def _video(self, row: Row) -> Video:
        return Video(
            id=row.id,
            root=row.root_name,
            relpath=row.relpath,
            path=self._path(row),
            title=row.title,
            size=row.size,
            mtime=row.mtime,
            sha256=row.sha256,
            duration=row.duration,
            fps=row.fps,
            width=row.width,
            height=row.height,
            segmentation=row.segmentation,
        )

    def _clip(self, row: Row) -> Clip:
        return Clip(row.id, row.video_id, row.start, row.end, self._path(row), row.title, row.mtime)


@lru_cache(1 << 12)
def _joined(root: Path | str, relpath: str) -> Path:
    """Remembered: for the clips of an answer it would take longer than to read them."""
    return Path(root, relpath)


def _root_columns() -> tuple[ColumnElement[str], ColumnElement[str]]:
    return roots.c.name.label("root_name"), roots.c.path.label("root_path")


def _videos() -> Select:
    return select(videos, *_root_columns()).join(roots)


def _clips() -> Select:
    columns = (*clips.c, videos.c.relpath, videos.c.title, videos.c.mtime, *_root_columns())
    return select(*columns).join(videos, videos.c.id == clips.c.video_id).join(roots)


_CLIPS_BY_ID = _clips().where(clips.c.id.in_(bindparam("ids", expanding=True)))
"""Every search asks this: putting it together would take half of its time."""

_GENERATIONS = select(generations)
