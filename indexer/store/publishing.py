"""The next generation: what the live one holds and still belongs, and what has been staged since."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import writing
from indexer.disk.writer_lock import writer_lock
from indexer.search.vectors.row_source import Ids, RowSource
from indexer.search.vectors.segment import NotFiniteError
from indexer.store.generation import KINDS, Generation, StoredGallery
from indexer.store.generation_swap import erase_before, finish_settling, publish, publish_at_home, publish_whole
from indexer.store.layout import next_number
from indexer.store.library import Library
from indexer.store.segment_plan import plan_segments
from indexer.store.vector_home import HomeChange, checked_store
from model.levels import finite_rows
from quartet.errors import InputError, LibraryError


def encode_again(path: Path, approximate_from: int) -> Generation:
    """Learn the codebooks of a library again; returns the new live generation.

    Galleries of `approximate_from` items or more get 4-bit codes, others have none.
    Raises LibraryError if the library is missing, damaged or held by another writer.
    """
    with Library.open(path) as library, writer_lock(path):
        levels = library.current().manifest.levels
        with closing(CatalogWriter(library.catalog.path, levels)) as writer:
            publish_changes(library, writer, approximate_from)
        return library.current()


def move_vectors(path: Path, to: str, erase_now: bool = False) -> Generation:
    """Publish a library with its vectors at another home, or in its folder (`to`: `vector_home.FOLDER`).

    Until then readers go on with the previous generation, and it stays until the next one. An interrupted move can be
    repeated. Returns the live generation.

    erase_now  remove the previous generation at once; a service that still answers from it may fail

    Raises InputError for what is not a home, or one that cannot have them.
    """
    with writing(path), Library.open(path) as library, writer_lock(path):
        live = library.current().manifest
        store = checked_store(to, live.frames)
        if store == live.store:
            raise InputError(f"The vectors of {path} are in {live.store or 'the folder'} already.")
        with closing(CatalogWriter(library.catalog.path, live.levels)) as writer:
            publish_changes(library, writer)
            held = {kind: library.current().gallery(kind).source() for kind in KINDS}
            name = publish_whole(path, live.spec, held, writer, live.index["approximate_from"], store)
            if erase_now:
                erase_before(path, writer, int(name))
        return library.current()


def publish_changes(
    library: Library, writer: CatalogWriter, approximate_from: int | None = None, erase_now: bool = False
) -> str:
    """Publish a generation with everything that the catalogue holds; returns the live generation's name.

    Nothing is written if the live one holds exactly that, and `approximate_from` (`encode_again`) is not given. What an
    earlier command was interrupted in is finished.
    erase_now: no other generation stays, and no file has what was removed on purpose. A service that still answers from
    the previous one may miss a hit.
    The caller holds the writer's lock.
    """
    finish_cut_short(library, writer)
    if erase_now:
        writer.erase_with_next()
    try:
        name = _publish(library, writer, approximate_from)
    except NotFiniteError:
        # An earlier version staged vectors that are not finite: their items are refused now.
        for kind in KINDS:
            _refuse_not_finite(writer, kind, next_number(library.path))
        name = _publish(library, writer, approximate_from)
    if erase_now:
        erase_before(library.path, writer, int(name))
    return name


def _publish(library: Library, writer: CatalogWriter, approximate_from: int | None) -> str:
    live = library.current()
    wanted = {kind: writer.live_ids(kind, live.gallery(kind).ids) for kind in KINDS}
    same = all(np.array_equal(wanted[kind], live.gallery(kind).ids) for kind in KINDS)
    left = writer.erases and live.manifest.store is None and any(len(live.files(kind).removed) for kind in KINDS)
    if approximate_from is None and same and not left:
        return live.name
    if (store := live.manifest.store) is not None:
        if approximate_from is not None:
            raise InputError(
                f"The vectors of this library are in {store}, which compares a question with each of them: there is "
                "nothing to tune. `quartet store --to folder` takes them into the library."
            )
        moves = {kind: HomeChange(ids, _staged(writer, kind, ids, live.gallery(kind))) for kind, ids in wanted.items()}
        return publish_at_home(library.path, live.manifest.spec, moves, store, writer, live.manifest)
    changes = {}
    for kind in KINDS:
        old = live.files(kind)
        change = plan_segments(wanted[kind], old, _staged(writer, kind, wanted[kind], old), writer.erases)
        changes[kind] = change if approximate_from is None else replace(change, before=None)
    return publish(library.path, live.manifest.spec, changes, live, approximate_from, writer)


def finish_cut_short(library: Library, writer: CatalogWriter) -> None:
    """Settle the live generation, where the command that published it was interrupted."""
    live = library.current()
    note = library.catalog.generations().get(int(live.name))
    if note is not None and not note.settled:
        finish_settling(library.path, writer, live)


def _refuse_not_finite(writer: CatalogWriter, kind: str, number: int) -> None:
    for ids, vectors in writer.staged_rows(kind).blocks():
        finite = finite_rows(vectors)
        if not finite.all():
            writer.refuse_items(kind, ids[~finite].tolist(), number)


def _staged(writer: CatalogWriter, kind: str, ids: Ids, old: StoredGallery) -> RowSource:
    """The vectors of those of `ids` that the live gallery lacks. Raises LibraryError if they are lost."""
    staged = writer.staged_rows(kind)
    fresh = ids[~np.isin(ids, old.ids, assume_unique=True)]
    lost = fresh[~np.isin(fresh, staged.ids, assume_unique=True)]
    if len(lost):
        raise LibraryError(
            f"The library is damaged: the vectors of item {lost[0]} are in no generation. Run `quartet repair`."
        )
    return staged.only(fresh)
