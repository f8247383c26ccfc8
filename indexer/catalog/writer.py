"""Writing the catalogue. Every method is one transaction: after a crash it has happened or it has not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, Table, delete, exists, func, insert, select, update

# Its ON CONFLICT is compiled for SQLite too; SQLite's own is not for PostgreSQL.
from sqlalchemy.dialects.postgresql import insert as upsert

from indexer.catalog.caption_writer import CaptionWriter
from indexer.catalog.model_change import drop_next
from indexer.catalog.publication_writer import PublicationWriter, mark_erased
from indexer.catalog.records import FileState, NewClip
from indexer.catalog.schema import (
    captions,
    clips,
    failures,
    open_database,
    roots,
    staged,
    unfinished,
    video_tags,
    videos,
)
from indexer.catalog.staged_vectors import pack, stage
from indexer.catalog.writing_session import WritingSession
from indexer.media.header import VideoInfo
from model.levels import LevelSpec
from quartet.errors import InputError

_REPLACED = ".replaced"
"""Prefix of the relpath of a video whose place another video has taken. Hidden, so that no walk meets it."""


class CatalogWriter(PublicationWriter, CaptionWriter):
    """The writing side of catalog.sqlite. Its caller holds the library's writer lock."""

    def __init__(
        self,
        path: Path,
        levels: Sequence[LevelSpec],
        elsewhere: Mapping[str, Path] | None = None,
        wait: bool = False,
        accept_damaged: bool = False,
        frames: bool = False,
    ) -> None:
        """Begin to write (`indexer.catalog.writing_session`, which explains `wait` and `accept_damaged`).

        `elsewhere` says of named roots where they are now; one that the catalogue does not have is added. `frames`:
        keep the vectors of single frames of new clips.
        """
        self.engine = open_database(path)
        self.levels = tuple(levels)
        self._frames = frames
        try:
            self._session = WritingSession(self.engine, path.parent, wait, accept_damaged)
        except BaseException:
            self.engine.dispose()
            raise
        self._elsewhere = {name: folder.resolve() for name, folder in (elsewhere or {}).items()}
        with self.engine.begin() as connection:
            known = set(connection.scalars(select(roots.c.name)))
            for name, folder in self._elsewhere.items():
                if name not in known:
                    _insert_root(connection, name, folder)

    def close(self) -> None:
        self._session.close()
        self.engine.dispose()

    def add_root(self, folder: Path) -> None:
        """Make `folder` (absolute) a root, unless it is in one. Its name is the folder's, made unique."""
        with self.engine.begin() as connection:
            if self._root_of(connection, folder / "x"):
                return
            taken = set(connection.scalars(select(roots.c.name)))
            stem = folder.name or "root"
            name, n = stem, 2
            while name in taken:
                name, n = f"{stem}-{n}", n + 1
            _insert_root(connection, name, folder)

    def move_root(self, name: str, folder: Path) -> None:
        """Record that the root `name` is at `folder` from then on. Raises InputError for an unknown name."""
        with self.engine.begin() as connection:
            names = sorted(connection.scalars(select(roots.c.name)))
            if name not in names:
                raise InputError(f"The library has no root {name!r}. Its roots are: {', '.join(names) or 'none'}.")
            _require_free(connection, name, folder)
            connection.execute(update(roots).where(roots.c.name == name).values(path=str(folder)))

    def add_video(
        self,
        file: FileState,
        info: VideoInfo,
        segmentation: str,
        parts: Sequence[NewClip],
        generation: int,
        save_pictures: Callable[[Mapping[int, tuple[bytes, bytes]]], None],
        kept: int = 0,
    ) -> list[int]:
        """Add a video with its clips, or replace the clips of the one at the same path; returns the clips' ids.

        `parts` come after the `kept` clips that `keep_clips` has already been given.
        `generation` is the number of the next one: the first without the clips that are replaced.
        `save_pictures` is called with the picture and the strip of each clip, by its id, before any of them shows.
        """
        with self.engine.begin() as connection:
            place = self._place(connection, file.path)
            row = {
                **place,
                "title": file.path.stem,
                "size": file.size,
                "mtime": file.mtime,
                "sha256": file.sha256,
                "duration": info.duration,
                "fps": info.fps,
                "width": info.width,
                "height": info.height,
                "segmentation": segmentation,
            }
            statement = upsert(videos).values(row)
            statement = statement.on_conflict_do_update(index_elements=list(place), set_=row)
            video_id = connection.scalars(statement.returning(videos.c.id)).one()
            _remove_clips(connection, [video_id], generation)
            ready: Iterable[Any] = ()
            if kept:
                earlier = select(unfinished).where(*_at(unfinished, place), unfinished.c.number < kept)
                ready = connection.execute(earlier.order_by(unfinished.c.number)).mappings()
            pictures: dict[int, tuple[bytes, bytes]] = {}
            rows: Iterable[Any] = chain(ready, map(self._row, parts))
            for clip in rows:
                values = {
                    "video_id": video_id,
                    "start": clip["start"],
                    "end": clip["end"],
                    "picture_crc": crc32(clip["picture"]),
                    "strip_crc": crc32(clip["strip"]),
                }
                clip_id = connection.scalars(insert(clips).values(values).returning(clips.c.id)).one()
                pictures[clip_id] = clip["picture"], clip["strip"]
                stage(connection, "clips", [(clip_id, clip["vectors"])])
            save_pictures(pictures)
            connection.execute(delete(unfinished).where(*_at(unfinished, place)))
            _forget_failure(connection, place)
        return list(pictures)

    def keep_clips(self, file: FileState, segmentation: str, first: int, parts: Sequence[NewClip]) -> None:
        """Keep clips of a file that has more, as its clips number `first` and on. A first of 0 begins it again."""
        with self.engine.begin() as connection:
            place = self._place(connection, file.path)
            if first == 0:
                connection.execute(delete(unfinished).where(*_at(unfinished, place)))
            of = {**place, "sha256": file.sha256, "segmentation": segmentation}
            rows = [{**of, "number": number, **self._row(part)} for number, part in enumerate(parts, start=first)]
            connection.execute(insert(unfinished), rows)

    def kept_clips(self) -> dict[tuple[Path, str, str], int]:
        """How many clips are kept, by path, SHA-256 and segmentation of their file."""
        of = (unfinished.c.root_id, unfinished.c.relpath, unfinished.c.sha256, unfinished.c.segmentation)
        with self.engine.connect() as connection:
            places = dict(self._roots(connection))
            rows = connection.execute(select(*of, func.count().label("number")).group_by(*of)).all()
        return {(places[row.root_id] / row.relpath, row.sha256, row.segmentation): row.number for row in rows}

    def forget_kept(self, paths: Iterable[Path]) -> None:
        """Drop what is kept of these files."""
        with self.engine.begin() as connection:
            for path in paths:
                place = self._place(connection, path)
                connection.execute(delete(unfinished).where(*_at(unfinished, place)))

    def set_picture_checks(self, clip_id: int, picture: int, strip: int) -> None:
        """Record the CRC-32 of a clip's picture and of its strip."""
        with self.engine.begin() as connection:
            values = {"picture_crc": picture, "strip_crc": strip}
            connection.execute(update(clips).where(clips.c.id == clip_id).values(values))

    def move_video(self, video_id: int, file: FileState, generation: int) -> None:
        """Record that an unchanged video now is at `file` (another place, or another mtime).

        If the catalogue had another video at that place, that one's clips are gone from `generation` on.
        """
        with self.engine.begin() as connection:
            place = self._place(connection, file.path)
            occupied = select(videos.c.id).where(*_at(videos, place), videos.c.id != video_id)
            for row in connection.execute(occupied).all():
                # Its record makes room, but stays for readers of the generation that still has its clips.
                _remove_clips(connection, [row.id], generation)
                parked = f"{_REPLACED}/{row.id}"
                connection.execute(update(videos).where(videos.c.id == row.id).values(relpath=parked))
            values = {**place, "size": file.size, "mtime": file.mtime}
            before = connection.execute(select(videos).where(videos.c.id == video_id)).one()
            if before.title == Path(before.relpath).stem:
                # Not a title that somebody gave it.
                values["title"] = file.path.stem
            connection.execute(update(videos).where(videos.c.id == video_id).values(values))
            _forget_failure(connection, place)

    def remove_videos(self, video_ids: Sequence[int], generation: int, erase: bool = False) -> None:
        """Mark the clips of videos as gone from generation `generation` on; `erase`: the one after it erases them."""
        with self.engine.begin() as connection:
            _remove_clips(connection, video_ids, generation)
            if erase:
                mark_erased(connection)

    def leaving_videos(self, settled: int) -> list[Path]:
        """Videos that were removed after generation `settled`: their removal was interrupted."""
        removed = select(clips.c.video_id).where(clips.c.removed > settled)
        stays = exists().where(clips.c.video_id == videos.c.id, clips.c.removed.is_(None))
        with self.engine.connect() as connection:
            places = dict(self._roots(connection))
            found = select(videos).where(videos.c.id.in_(removed), ~stays)
            return [places[row.root_id] / row.relpath for row in connection.execute(found)]

    def tag_videos(self, video_ids: Sequence[int], add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Give every one of these videos the tags `add`, and take `remove` from it."""
        pairs = [{"tag": tag, "video_id": video_id} for tag in add for video_id in video_ids]
        with self.engine.begin() as connection:
            if pairs:
                connection.execute(upsert(video_tags).on_conflict_do_nothing(), pairs)
            for tag in remove:
                for video_id in video_ids:
                    own = (video_tags.c.tag == tag) & (video_tags.c.video_id == video_id)
                    connection.execute(delete(video_tags).where(own))

    def rename_video(self, video_id: int, title: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(videos).where(videos.c.id == video_id).values(title=title))

    def add_failure(self, file: FileState, reason: str, detail: str) -> None:
        """List a file as refused, to be tried again when it changes; `unreadable` ones at every run.

        Rights, a full memory or a slow disk may have been at fault there, which no change of the file shows.
        """
        size = -1 if reason == "unreadable" else file.size
        with self.engine.begin() as connection:
            place = self._place(connection, file.path)
            row = {**place, "size": size, "mtime": file.mtime, "reason": reason, "detail": detail}
            connection.execute(delete(unfinished).where(*_at(unfinished, place)))
            statement = upsert(failures).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=list(place), set_=row))

    def forget_failures(self, paths: Iterable[Path]) -> None:
        with self.engine.begin() as connection:
            for path in paths:
                _forget_failure(connection, self._place(connection, path))

    def failed_files(self) -> dict[Path, FileState]:
        """The refused files as they were when they were refused, without hashes."""
        with self.engine.connect() as connection:
            places = dict(self._roots(connection))
            rows = connection.execute(select(failures)).all()
        found = [FileState(places[row.root_id] / row.relpath, row.size, row.mtime) for row in rows]
        return {file.path: file for file in found}

    def refuse_items(self, kind: str, ids: Sequence[int], generation: int) -> None:
        """Take out items with vectors that are not finite: captions, or the videos of clips, listed as refused."""
        with self.engine.begin() as connection:
            if kind == "captions":
                connection.execute(delete(captions).where(captions.c.id.in_(ids)))
                connection.execute(delete(staged).where(staged.c.kind == kind, staged.c.item_id.in_(ids)))
                drop_next(connection, kind, ids)
                return
            of_clips = select(clips.c.video_id).where(clips.c.id.in_(ids))
            for row in connection.execute(select(videos).where(videos.c.id.in_(of_clips))).all():
                place = {"root_id": row.root_id, "relpath": row.relpath}
                detail = "The model returned a vector with NaN or infinity."
                refused = {"size": row.size, "mtime": row.mtime, "reason": "model-fault", "detail": detail}
                connection.execute(insert(failures).values(**place, **refused))
                _remove_clips(connection, [row.id], generation)

    def _roots(self, connection: Connection) -> list[tuple[int, Path]]:
        return [(r.id, self._elsewhere.get(r.name, Path(r.path))) for r in connection.execute(select(roots))]

    def _root_of(self, connection: Connection, path: Path) -> tuple[int, Path] | None:
        """The innermost root that a path is in."""
        found = [root for root in self._roots(connection) if path.is_relative_to(root[1])]
        return max(found, key=lambda root: len(root[1].parts), default=None)

    def _place(self, connection: Connection, path: Path) -> dict[str, int | str]:
        root = self._root_of(connection, path)
        if root is None:
            raise ValueError(f"{path} is in no root of the catalogue")
        # A name that is not Unicode can only be listed as refused, with a mark in place of what it cannot say.
        relpath = str(path.relative_to(root[1])).encode("utf-8", "replace").decode("utf-8")
        return {"root_id": root[0], "relpath": relpath}

    def _row(self, clip: NewClip) -> dict[str, Any]:
        """A clip as a row of `unfinished`, less the file."""
        values = {"start": clip.start, "end": clip.end, "picture": clip.picture, "strip": clip.strip}
        return {**values, "vectors": pack(self.levels, clip.vectors, self._frames)}


def _insert_root(connection: Connection, name: str, folder: Path) -> None:
    _require_free(connection, name, folder)
    connection.execute(insert(roots).values(name=name, path=str(folder)))


def _require_free(connection: Connection, name: str, folder: Path) -> None:
    taken = connection.scalars(select(roots.c.name).where(roots.c.path == str(folder), roots.c.name != name)).first()
    if taken is not None:
        raise InputError(f"{folder} is already the root {taken!r} of the library. It cannot also be {name!r}.")


def _at(table: Table, place: dict[str, int | str]) -> list:
    return [table.c[name] == value for name, value in place.items()]


def _remove_clips(connection: Connection, video_ids: Sequence[int], generation: int) -> None:
    for video_id in video_ids:
        gone = (clips.c.video_id == video_id) & clips.c.removed.is_(None)
        ids = select(clips.c.id).where(gone)
        if connection.scalars(ids.limit(1)).first() is None:
            continue
        connection.execute(delete(staged).where(staged.c.kind == "clips", staged.c.item_id.in_(ids)))
        drop_next(connection, "clips", ids)
        connection.execute(update(clips).where(gone).values(removed=generation))


def _forget_failure(connection: Connection, place: dict[str, int | str]) -> None:
    connection.execute(delete(failures).where(*_at(failures, place)))
