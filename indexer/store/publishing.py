"""The next generation: what the live one holds and still belongs, and what has been staged since."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from indexer.catalog.writer import CatalogWriter
from indexer.disk.writer_lock import writer_lock
from indexer.search.vectors.gallery import Change, Gallery, Rows, rows_or_none
from indexer.store.generation import KINDS, Generation, frames_of
from indexer.store.generation_swap import finish_settling, publish
from indexer.store.layout import next_number
from indexer.store.library import Library
from model.encoder import EncoderSpec
from model.levels import finite_rows
from quartet.errors import LibraryError

_LARGE = 10_000
"""Rows from which a gallery is added to rather than written again."""

_MOST_SEGMENTS = 16


def encode_anew(path: Path, approximate_from: int) -> Generation:
    """Write every gallery of a library again; returns the new live generation.

    Those of `approximate_from` items or more get 4-bit codes, with codebooks that are learned from what they hold now.
    Raises LibraryError if the library is missing, damaged or held by another writer.
    """
    with Library.open(path) as library, writer_lock(path):
        levels = library.current().manifest.levels
        with closing(CatalogWriter(library.catalog.path, levels)) as writer:
            publish_changes(library, writer, approximate_from)
        return library.current()


def publish_changes(library: Library, writer: CatalogWriter, approximate_from: int | None = None) -> str:
    """Publish a generation with everything that the catalogue holds; returns the live generation's name.

    Nothing is written if the live one holds exactly that, and `approximate_from` (`encode_anew`) is not given. What an
    earlier command was interrupted in is finished.
    The caller holds the writer's lock.
    """
    finish_cut_short(library, writer)
    live = library.current()
    spec = live.manifest.spec
    staged = {kind: _finite_rows(writer, kind, next_number(library.path), spec) for kind in KINDS}
    wanted = {kind: np.array(writer.live_ids(kind), dtype=np.int64) for kind in KINDS}
    if approximate_from is None and all(np.array_equal(wanted[kind], live.gallery(kind).ids) for kind in KINDS):
        return live.name
    erases = writer.erases
    changes = {
        kind: _change(wanted[kind], live.gallery(kind), staged[kind], approximate_from is not None, erases)
        for kind in KINDS
    }
    return publish(library.path, spec, changes, live, approximate_from, writer)


def finish_cut_short(library: Library, writer: CatalogWriter) -> None:
    """Settle the live generation, where the command that published it was interrupted."""
    live = library.current()
    note = library.catalog.generations().get(int(live.name))
    if note is not None and not note.settled:
        finish_settling(library.path, writer, live)


def _finite_rows(writer: CatalogWriter, kind: str, number: int, spec: EncoderSpec) -> Rows:
    """The staged rows of a gallery. An earlier version staged some that are not finite: those are refused now."""
    ids, vectors = writer.staged_rows(kind)
    finite = finite_rows(vectors)
    if not finite.all():
        writer.refuse_items(kind, ids[~finite].tolist(), number)
        ids, vectors = writer.staged_rows(kind)
    return rows_or_none((ids, vectors), spec.levels, frames_of(spec.frames, kind))


def _change(ids: np.ndarray, old: Gallery, staged: Rows, anew: bool = False, erases: bool = False) -> Change:
    """How to come from the live gallery to the items `ids` (ascending): as a small segment, or all again.

    With `erases`, no file may hold the rows of other items.
    """
    staged_ids, staged_vectors = staged
    fresh = ids[~np.isin(ids, old.ids, assume_unique=True)]
    if not np.isin(fresh, staged_ids).all():
        lost = fresh[~np.isin(fresh, staged_ids)][0]
        raise LibraryError(
            f"The library is damaged: the vectors of item {lost} are in no generation. Run `quartet repair`."
        )
    new_rows = np.searchsorted(staged_ids, fresh)
    added = fresh, {name: rows[new_rows] for name, rows in staged_vectors.items()}
    removed = old.row_ids[~np.isin(old.row_ids, ids, assume_unique=True)]
    if not anew and not (erases and len(removed)) and _worth_keeping(old, fresh, removed):
        return Change(added, kept=old, removed=removed)
    return Change(_merge(ids, old, added))


def _worth_keeping(old: Gallery, fresh: np.ndarray, removed: np.ndarray) -> bool:
    """Whether the live segments are better kept than written again.

    A small gallery is quickly written. In a large one removed rows take room and many segments take time, and codebooks
    grow old: what came and went since the first segment stays below a tenth of it.
    """
    rows = len(old.row_ids)
    after = bool(len(fresh)) and rows > 0 and fresh[0] <= old.row_ids[-1]
    waiting = rows - len(old.segments[0]) + len(fresh) + len(removed)
    return rows >= _LARGE and not after and len(old.segments) < _MOST_SEGMENTS and waiting <= rows // 10


def _merge(ids: np.ndarray, old: Gallery, added: Rows) -> Rows:
    """The rows of `ids` (ascending) out of the live gallery and the added ones."""
    fresh, fresh_vectors = added
    from_old = ~np.isin(ids, fresh, assume_unique=True)
    old_rows = old.positions(ids[from_old])
    vectors = {}
    for name, new in fresh_vectors.items():
        rows = np.empty((len(ids), new.shape[1]), dtype=new.dtype)
        rows[from_old] = old.column(name, old_rows)
        rows[~from_old] = new
        vectors[name] = rows
    return ids, vectors
