"""Whether a library is what it should be: its index against its catalogue against the files on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select

from indexer.catalog.records import Video
from indexer.catalog.schema import captions, clips, staged
from indexer.disk.durable_files import file_sha256
from indexer.disk.presence import is_gone
from indexer.disk.writer_lock import writer_lock
from indexer.store.generation import KINDS, damaged_files
from indexer.store.library import Library, thumbnail_path


@dataclass(frozen=True)
class Problem:
    """`where` is index, catalogue, pictures or videos; `detail` is a sentence that names the item."""

    where: str
    detail: str


def verify_library(path: Path, roots: Mapping[str, Path] | None = None, content: bool = False) -> list[Problem]:
    """Everything that is wrong with a library.

    roots    where named roots of its videos lie here
    content  read the videos too and compare their hashes; otherwise their size and time of change are compared

    No writer may be at work meanwhile. Raises LibraryError if one is, or if the library cannot be opened at all.
    """
    with (
        writer_lock(path) if os.access(path, os.W_OK) else nullcontext(),
        Library.open(path, roots=roots) as library,
    ):
        return [*_index(library), *_catalogue(library), *_pictures(library), *_videos(library, content)]


def _index(library: Library) -> Iterator[Problem]:
    generation = library.current()
    folder = library.path / "generations" / generation.name
    for name in damaged_files(folder, generation.manifest):
        yield Problem("index", f"{folder / name} is not as it was written.")


def _catalogue(library: Library) -> Iterator[Problem]:
    queries = {
        "clips": (select(clips.c.id), clips.c.removed.is_(None)),
        "captions": (select(captions.c.id), captions.c.id.is_not(None)),
    }
    with library.catalog.engine.connect() as connection:
        # A server checks its own pages; the pragmas are SQLite's.
        pragmas = ("integrity_check", "foreign_key_check") if connection.dialect.name == "sqlite" else ()
        for pragma in pragmas:
            for row in connection.exec_driver_sql(f"PRAGMA {pragma}"):
                if row[0] != "ok":
                    yield Problem("catalogue", f"SQLite's {pragma} says: {', '.join(str(value) for value in row)}.")
        for kind in KINDS:
            query, live = queries[kind]
            known = np.array(connection.scalars(query).all(), dtype=np.int64)
            wanted = np.array(connection.scalars(query.where(live)).all(), dtype=np.int64)
            waiting = connection.scalars(select(staged.c.item_id).where(staged.c.kind == kind)).all()
            held = library.current().gallery(kind).ids
            for item in np.setdiff1d(held, known):
                yield Problem("catalogue", f"The index holds the {kind[:-1]} {item}, which the catalogue does not.")
            for item in np.setdiff1d(wanted, np.union1d(held, np.array(waiting, dtype=np.int64))):
                yield Problem("index", f"The vectors of the {kind[:-1]} {item} are missing.")


def _pictures(library: Library) -> Iterator[Problem]:
    for clip in library.catalog.list_clips(limit=None):
        if not thumbnail_path(library.path, clip.id).is_file():
            yield Problem("pictures", f"The picture of the clip {clip.id} ({clip.path}) is missing.")


def _videos(library: Library, content: bool) -> Iterator[Problem]:
    in_root: dict[str, list[Video]] = {}
    for video in library.catalog.list_videos(limit=None):
        in_root.setdefault(video.root, []).append(video)
    for root in library.catalog.roots():
        found = in_root.get(root.name, [])
        if found and is_gone(root.path):
            where = f"The root {root.name}, with {len(found)} videos, is not at {root.path}."
            yield Problem("videos", f"{where} Mount its disk, or say where it lies now with `quartet relocate`.")
            continue
        for video in found:
            wrong = _problem_of(video, content)
            if wrong:
                yield Problem("videos", f"{video.path} {wrong}")


def _problem_of(video: Video, content: bool) -> str | None:
    try:
        status = video.path.stat()
        if status.st_size != video.size or (not content and status.st_mtime != video.mtime):
            return "has changed since it was indexed. Index it again."
        if content and file_sha256(video.path) != video.sha256:
            return "has other content than when it was indexed. Index it again."
    except FileNotFoundError:
        return "is gone."
    except OSError as error:
        return f"cannot be read: {error.strerror}."
    return None
