"""Whether a library is what it should be: every byte of it, its index against its catalogue against the videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from sqlalchemy import Connection, select
from sqlalchemy.exc import DatabaseError

from indexer.catalog.publication_writer import ITEMS
from indexer.catalog.reader import Catalog
from indexer.catalog.records import Video
from indexer.catalog.schema import clips, staged
from indexer.catalog.seal import is_damaged
from indexer.catalog.writing_session import require_same_library
from indexer.disk.durable_files import file_sha256
from indexer.disk.library_identity import identity_of
from indexer.disk.presence import is_gone
from indexer.disk.writer_lock import writer_lock
from indexer.store.agreement import require_agreement
from indexer.store.generation import IDS_FILE, KINDS, damaged_files, open_generation
from indexer.store.layout import (
    exists,
    generation_folder,
    generation_numbers,
    live_name,
    require_library,
    strip_path,
    thumbnail_path,
)
from indexer.store.library import open_catalog
from indexer.store.manifest import Manifest
from indexer.store.search_settings import read_search_settings
from indexer.store.vector_home import open_home
from quartet.errors import LibraryError


@dataclass(frozen=True)
class Problem:
    """`where` is index, catalogue, pictures, settings or videos; `detail` is a sentence that names the item."""

    where: str
    detail: str


def verify_library(path: Path, roots: Mapping[str, Path] | None = None, content: bool = False) -> list[Problem]:
    """Everything that is wrong with a library. Every byte of its files is read.

    roots    where named roots of its videos are here
    content  read the videos too and compare their hashes; otherwise their size and time of change are compared

    No writer may be at work meanwhile. Raises LibraryError if one is, if there is no library, or if the server of its
    catalogue does not answer.
    """
    if not exists(path) and not generation_numbers(path):
        require_library(path)
    with writer_lock(path) if os.access(path, os.W_OK) else nullcontext():
        try:
            catalog = open_catalog(path)
        except LibraryError as error:
            if (path / "catalog.url").exists():
                raise
            return [Problem("catalogue", str(error)), *_generations(path, None)]
        try:
            catalog.relocate(roots or {})
            problems: list[Problem] = []
            try:
                for found in (
                    _catalogue(path, catalog),
                    _generations(path, catalog),
                    _pictures(path, catalog),
                    _search_settings(path),
                    _videos(catalog, content),
                ):
                    problems.extend(found)
            except DatabaseError as error:
                where = "catalogue"
                problems += [Problem(where, f"{catalog.path} cannot be read to its end: {_first_line(error)}.")]
                problems += [problem for problem in _generations(path, None) if problem not in problems]
            return problems
        finally:
            catalog.close()


def _first_line(error: DatabaseError) -> str:
    return str(error.orig).partition("\n")[0][:200]


def _generations(path: Path, catalog: Catalog | None) -> Iterator[Problem]:
    """CURRENT, the identity, and every file of every generation."""
    try:
        if live_name(path) not in (f"{number:06d}" for number in generation_numbers(path)):
            yield Problem("index", f"{path / 'CURRENT'} names a generation that does not exist.")
    except LibraryError as error:
        yield Problem("index", str(error))
    notes = {} if catalog is None else catalog.generations()
    if catalog is not None and catalog.identity() is not None:
        try:
            if identity_of(path) is None:
                yield Problem("index", f"{path / 'identity'} is missing.")
            require_same_library(path, catalog.identity(), identity_of(path))
        except LibraryError as error:
            yield Problem("catalogue", str(error))
    for number in generation_numbers(path):
        folder = generation_folder(path, number)
        try:
            manifest = Manifest.read(folder / "manifest.json")
        except LibraryError as error:
            yield Problem("index", str(error))
            continue
        note = notes.get(number)
        if note is not None and note.stamp == manifest.stamp and note.manifest != manifest_text(folder):
            yield Problem("index", f"{folder / 'manifest.json'} has changed since Quartet wrote it.")
        for name in damaged_files(folder, manifest):
            state = "has changed since Quartet wrote it" if (folder / name).exists() else "is missing"
            yield Problem("index", f"{folder / name} {state}.")
        yield from at_home(folder, manifest)


def at_home(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Vectors of a generation that their home lacks. It looks after its own files."""
    if (record := manifest.home) is None:
        return
    for kind in KINDS:
        try:
            ids = np.load(folder / kind / IDS_FILE)
            held = open_home(record.address).held(record.tag, kind, manifest.levels, ids)
        except (OSError, ValueError):
            continue  # said of the file
        except LibraryError as error:
            yield Problem("index", str(error))
            return
        for item in np.setdiff1d(ids, held):
            yield Problem("index", f"{record.address} lacks the vectors of the {kind[:-1]} {item}.")


def manifest_text(folder: Path) -> str:
    """The manifest of a generation as it is, damaged or not; empty if it is not there."""
    file = folder / "manifest.json"
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _catalogue(path: Path, catalog: Catalog) -> Iterator[Problem]:
    with catalog.engine.connect() as connection:
        # A server checks its own pages; the rest is SQLite's.
        if connection.dialect.name == "sqlite":
            yield from _database(connection, catalog.path)
        try:
            live = open_generation(generation_folder(path, int(live_name(path))))
        except (LibraryError, OSError):
            return  # what is wrong with it is said elsewhere
        try:
            require_agreement(path, int(live.name), live.manifest.stamp, catalog.generations())
        except LibraryError as error:
            yield Problem("catalogue", str(error))
            return
        for kind in KINDS:
            yield from _items(connection, kind, live.gallery(kind).ids)


def _database(connection: Connection, path: Path) -> Iterator[Problem]:
    if is_damaged(connection.connection.driver_connection):  # type: ignore[arg-type]
        yield Problem("catalogue", f"{path} has changed since Quartet wrote it.")
    for pragma in ("integrity_check", "foreign_key_check"):
        for row in connection.exec_driver_sql(f"PRAGMA {pragma}"):
            if row[0] != "ok":
                yield Problem("catalogue", f"SQLite's {pragma} says: {', '.join(str(value) for value in row)}.")


def _items(connection: Connection, kind: str, held: np.ndarray) -> Iterator[Problem]:
    """What the index holds of a gallery against what the catalogue lists."""
    table, one = ITEMS[kind], kind[:-1]
    rows = connection.execute(select(table.c.id, table.c.removed)).all()
    known = np.array([row.id for row in rows], dtype=np.int64)
    wanted = np.array([row.id for row in rows if row.removed is None], dtype=np.int64)
    waiting = connection.scalars(select(staged.c.item_id).where(staged.c.kind == kind)).all()
    for item in np.setdiff1d(held, known):
        yield Problem("catalogue", f"The {one} {item} is in the index but not in the catalogue.")
    for item in np.setdiff1d(np.intersect1d(held, known), wanted):
        yield Problem("index", f"The {one} {item} was removed but is still in the index: a command was interrupted.")
    for item in np.setdiff1d(wanted, np.union1d(held, np.array(waiting, dtype=np.int64))):
        yield Problem("index", f"The vectors of the {one} {item} are missing.")


def _pictures(path: Path, catalog: Catalog) -> Iterator[Problem]:
    wanted: set[Path] = set()
    for clip_id, *checks in picture_checks(catalog):
        for file, expected, what in zip(
            (thumbnail_path(path, clip_id), strip_path(path, clip_id)), checks, ("picture", "strip"), strict=True
        ):
            wanted.add(file)
            if wrong := wrong_with_picture(file, expected):
                yield Problem("pictures", f"The {what} of the clip {clip_id} ({file}) {wrong}.")
    for file in sorted((path / "thumbnails").rglob("*")):
        if file.is_file() and file not in wanted:
            yield Problem("pictures", f"{file} belongs to no clip.")


def picture_checks(catalog: Catalog) -> list[tuple[int, int | None, int | None]]:
    """Clip, and the CRC-32 of its picture and of its strip; None where an earlier version made them."""
    with catalog.engine.connect() as connection:
        rows = connection.execute(select(clips.c.id, clips.c.picture_crc, clips.c.strip_crc).order_by(clips.c.id))
        return [(row.id, row.picture_crc, row.strip_crc) for row in rows]


def wrong_with_picture(file: Path, expected: int | None) -> str | None:
    """What is wrong with a picture, as the rest of a sentence; None: nothing."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if expected is None:
        return None if _decodes(file) else "is damaged"
    return None if crc32(content) == expected else "has changed since Quartet wrote it"


def _decodes(file: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            image.load()
    except (OSError, UnidentifiedImageError, SyntaxError):
        return False
    return True


def _search_settings(path: Path) -> Iterator[Problem]:
    try:
        read_search_settings(path, "")
    except LibraryError as error:
        yield Problem("settings", str(error))


def _videos(catalog: Catalog, content: bool) -> Iterator[Problem]:
    in_root: dict[str, list[Video]] = {}
    for video in catalog.list_videos(limit=None):
        in_root.setdefault(video.root, []).append(video)
    for root in catalog.roots():
        found = in_root.get(root.name, [])
        if found and is_gone(root.path):
            where = f"The root {root.name}, with {len(found)} videos, is not at {root.path}."
            yield Problem("videos", f"{where} Mount its disk, or give its new folder with `quartet relocate`.")
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
            return "has changed its content since it was indexed. Index it again."
    except FileNotFoundError:
        return "is gone."
    except OSError as error:
        return f"cannot be read: {error.strerror}."
    return None
