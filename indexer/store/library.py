"""A library on disk: the catalogue, the generations and which of them is live (docs/library-format.md)."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy.exc import DatabaseError

from indexer.catalog.database_server import URL_FILE, checked_url, server_url, unreachable
from indexer.catalog.reader import Catalog
from indexer.catalog.schema import metadata, open_database, require_empty, upgrade
from indexer.catalog.text_reader import clips_by_text
from indexer.catalog.writer import CatalogWriter
from indexer.catalog.writing_session import require_same_library
from indexer.disk.durable_files import replace_file, sync_folder
from indexer.disk.library_identity import IDENTITY_FILE, identity_of
from indexer.disk.writer_lock import writer_lock
from indexer.search.filters import ClipFilter, ClipTable
from indexer.search.moments.timeline import Timeline
from indexer.search.remote_gallery import AnyGallery
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.row_source import empty_rows, from_arrays
from indexer.store.agreement import require_agreement
from indexer.store.generation import KINDS, Generation, frames_of, open_generation
from indexer.store.generation_swap import publish_whole
from indexer.store.layout import exists, live_name, require_library, require_no_generations, strip_path, thumbnail_path
from indexer.store.search_settings import SETTINGS_FILE
from indexer.store.served_generation import RemoteGenerations, ServedGeneration
from indexer.store.vector_home import checked_store
from model.encoder import EncoderSpec
from quartet.errors import FingerprintError, LibraryError, NotFoundError

_OWN_FILES = (
    ".lock",
    "CURRENT",
    "catalog.sqlite",
    URL_FILE,
    IDENTITY_FILE,
    SETTINGS_FILE,
    "generations",
    "thumbnails",
)
_OWN_NAMES = (*_OWN_FILES, *(f".{name}" for name in _OWN_FILES))


class Library:
    """An open library. Safe to read from many threads; one process at a time writes (`indexer.disk.writer_lock`)."""

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        generation: Generation | None,
        device: str = "cpu",
        elsewhere: RemoteGenerations | None = None,
    ) -> None:
        self.path = path
        self.device = device
        self.catalog = catalog
        self._generation = generation
        self._elsewhere = elsewhere
        self._swap = threading.Lock()
        self._reading = threading.Lock()
        self._clip_table: tuple[str, ClipTable] | None = None
        self._timeline: tuple[ClipTable, Timeline] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        spec: EncoderSpec,
        catalog: str | None = None,
        wait: bool = False,
        store: str | None = None,
    ) -> Library:
        """Make an empty library for the vectors of one model.

        catalog  URL of a database for its catalogue (`indexer.catalog.database_server`), if not a file in the folder
        store    where its vectors are (`indexer.store.vector_home`), if not in the folder
        wait     where another process is making it, wait for it and open what it has made, instead of refusing

        Raises LibraryError if the folder exists and is not empty, or cannot be written, or if the database holds
        another library's catalogue, InputError for a URL that cannot be used.
        """
        url = checked_url(catalog) if catalog else None
        store = checked_store(store, spec.frames)
        if path.exists() and not path.is_dir():
            raise LibraryError(f"A library cannot be created at {path}: it is a file. Name an empty or a new folder.")
        try:
            path.mkdir(parents=True, exist_ok=True)
            foreign = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(_OWN_NAMES))
        except OSError as error:
            raise LibraryError(f"A library cannot be created at {path}: {error.strerror}.") from error
        if foreign:
            raise LibraryError(
                f"A library cannot be created at {path}: it holds {foreign[0]}. Name an empty or a new folder."
            )
        with writer_lock(path, wait):
            if exists(path):
                if wait:
                    return cls.open(path)
                raise LibraryError(f"There is already a library at {path}.")
            require_no_generations(path)
            sync_folder(path.absolute().parent)
            # What a creation that was interrupted has left is made again, or kept where it is the same.
            shutil.rmtree(path / "generations", ignore_errors=True)
            (path / "generations").mkdir()
            (path / "thumbnails").mkdir(exist_ok=True)
            if url is not None:
                require_empty(url)
                replace_file(path / URL_FILE, f"{url}\n".encode())
            engine = open_database(path / "catalog.sqlite")
            try:
                metadata.create_all(engine)
            finally:
                engine.dispose()
            with closing(CatalogWriter(path / "catalog.sqlite", spec.levels, wait=wait)) as writer:
                nothing = {kind: from_arrays(*empty_rows(spec.levels, frames_of(spec.frames, kind))) for kind in KINDS}
                publish_whole(path, spec, nothing, writer, store=store)
        return cls.open(path)

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "cpu",
        roots: Mapping[str, Path] | None = None,
        elsewhere: RemoteGenerations | None = None,
    ) -> Library:
        """Open a library for reading; exhaustive searches run on the torch device `device`.

        roots      where named roots of its videos are here, if not where the catalogue says
        elsewhere  another engine that has its vectors (`indexer.milvus`): its own are then not opened, and need not be
                   there. It is closed with the library

        Raises LibraryError if it is missing, damaged or of another format, InputError for a root that it has not.
        """
        require_library(path)
        catalog = open_catalog(path)
        try:
            catalog.relocate(roots or {})
            require_same_library(path, catalog.identity(), identity_of(path))
            generation = _open_live(path, catalog, device) if elsewhere is None else None
        except DatabaseError as error:
            catalog.close()
            raise _unreadable(path, error) from error
        except BaseException:
            catalog.close()
            raise
        return cls(path, catalog, generation, device, elsewhere)

    def close(self) -> None:
        self.catalog.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def current(self) -> Generation:
        """The live generation of its own files. Costs one small read unless a newer one has been published."""
        known = self._generation
        if known is None or live_name(self.path) != known.name:
            with self._swap:
                known = self._generation
                if known is None or live_name(self.path) != known.name:
                    known = self._generation = _open_live(self.path, self.catalog, self.device)
        return known

    def served(self) -> ServedGeneration:
        """The generation that answers questions, the same object until another does."""
        return self.current() if self._elsewhere is None else self._elsewhere.current()

    def settled(self) -> int:
        """The number of the last generation that was published to the end: the live one, or the previous one."""
        number = int(self.current().name)
        note = self.catalog.generations().get(number)
        return number - 1 if note is not None and not note.settled else number

    def check_encoder(self, spec: EncoderSpec) -> None:
        """Raises FingerprintError unless `spec` belongs to the model that built this library."""
        built_by = self.served().model.fingerprint
        if built_by != spec.fingerprint:
            raise FingerprintError(built_by, spec.fingerprint)

    def allowed(self, gallery: AnyGallery, wanted: ClipFilter | None) -> npt.NDArray[np.int64] | ClipFilter | None:
        """What makes a search of clips in `gallery` keep to a filter: their ids, or what another engine looks for."""
        if wanted is None:
            return None
        if isinstance(gallery, Gallery) or wanted.by_text or wanted.after_clip is not None:
            return self.select_clips(wanted)
        if not wanted.by_video:
            return wanted
        # The catalogue is asked at every call: a change of tags holds at once.
        chosen = frozenset(self.catalog.chosen_videos(wanted))
        videos = chosen if wanted.video_ids is None else chosen & wanted.video_ids
        return ClipFilter(videos, wanted.start, wanted.end)

    def select_clips(self, wanted: ClipFilter) -> npt.NDArray[np.int64]:
        """Ids of the clips that a filter keeps, for `search`. The first call after a change reads the catalogue.

        Tags and texts are looked up at every call: a change of them holds at once.
        """
        table = self.clip_table()
        chosen = table.select(wanted, self.catalog.chosen_videos(wanted) if wanted.by_video else None)
        return np.intersect1d(chosen, clips_by_text(self.catalog, table, wanted)) if wanted.by_text else chosen

    def clip_table(self) -> ClipTable:
        """Video and time of every clip. The first call after a change reads the catalogue."""
        with self._reading:  # eight at once would each read a million rows
            name, known = live_name(self.path), self._clip_table
            if known is None or known[0] != name:
                known = self._clip_table = (name, self.catalog.clip_table())
            return known[1]

    def timeline(self) -> Timeline:
        """All clips in the time of their videos. The first call after a change sorts them."""
        table = self.clip_table()
        with self._reading:
            known = self._timeline
            if known is None or known[0] is not table:
                known = self._timeline = (table, Timeline.of(table))
            return known[1]

    def thumbnail(self, clip_id: int) -> Path:
        """The WebP picture of a clip. Raises NotFoundError."""
        path = thumbnail_path(self.path, clip_id)
        if not path.is_file():
            raise NotFoundError(f"There is no picture of clip {clip_id} in this library.")
        return path

    def strip(self, clip_id: int) -> Path:
        """The contact strip of a clip (WebP, `indexer.media.thumbnails`). Raises NotFoundError."""
        path = strip_path(self.path, clip_id)
        if not path.is_file():
            raise NotFoundError(f"There is no contact strip of clip {clip_id} in this library.")
        return path


def open_catalog(path: Path) -> Catalog:
    """The catalogue of the library at `path`, with the tables of this version. Raises LibraryError."""
    server = server_url(path)
    if server is None and not (path / "catalog.sqlite").is_file():
        raise LibraryError(
            f"The library at {path} is damaged: its catalog.sqlite is missing. Restore the file from a backup and run "
            "`quartet repair`, or index the videos into a new library."
        )
    catalog = Catalog(path / "catalog.sqlite")
    try:
        upgrade(catalog.engine)
        catalog.require_readable()
    except DatabaseError as error:
        catalog.close()
        raise _unreadable(path, error) from error
    return catalog


def _unreadable(path: Path, error: DatabaseError) -> LibraryError:
    server = server_url(path)
    if server is not None:
        return unreachable(server, error)
    if "readonly" in str(error.orig):
        return LibraryError(
            f"The library {path} was made by an earlier version of Quartet and cannot be upgraded: its folder "
            "is read-only. Make it writable and run `quartet status` once."
        )
    return LibraryError(
        f"The catalogue {path / 'catalog.sqlite'} cannot be read: {error.orig}. Restore the file from a backup and run "
        "`quartet repair`, or index the videos into a new library."
    )


def _open_live(path: Path, catalog: Catalog, device: str) -> Generation:
    """The live generation, which is the one that the catalogue means. Raises LibraryError."""
    name = live_name(path)
    while True:
        try:
            generation = open_generation(path / "generations" / name, device)
            require_agreement(path, int(name), generation.manifest.stamp, catalog.generations())
            return generation
        except LibraryError:
            # It may have been replaced and removed between reading its name and opening it.
            name, tried = live_name(path), name
            if name == tried:
                raise
