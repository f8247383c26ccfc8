"""The next generation: what the live one holds and still belongs, and what has been staged since."""

from __future__ import annotations

import numpy as np

from indexer.catalog_writer import CatalogWriter
from indexer.gallery import Gallery
from indexer.generation import KINDS, Rows
from indexer.library import Library, next_number, publish, thumbnail_path
from model.encoder import EncoderSpec
from model.errors import LibraryError


def publish_changes(library: Library, writer: CatalogWriter) -> str:
    """Publish a generation with everything that the catalogue holds; returns the live generation's name.

    Nothing is written if the live one holds exactly that. The caller holds the writer's lock.
    """
    live = library.current()
    spec = live.manifest.spec
    wanted = {kind: np.array(writer.live_ids(kind), dtype=np.int64) for kind in KINDS}
    name = live.name
    if any(not np.array_equal(wanted[kind], live.gallery(kind).ids) for kind in KINDS):
        number = next_number(library.path)
        rows = {kind: _merge(wanted[kind], live.gallery(kind), writer.staged_rows(kind, spec), spec) for kind in KINDS}
        name = publish(library.path, spec, rows)
        for clip_id in writer.settle(number):
            thumbnail_path(library.path, clip_id).unlink(missing_ok=True)
    return name


def _merge(ids: np.ndarray, old: Gallery, staged: Rows, spec: EncoderSpec) -> Rows:
    """The rows of `ids` (ascending) out of the live gallery and the staged ones."""
    staged_ids, staged_vectors = staged
    from_old = np.isin(ids, old.ids)
    fresh = ids[~from_old]
    if not np.isin(fresh, staged_ids).all():
        lost = fresh[~np.isin(fresh, staged_ids)][0]
        raise LibraryError(
            f"The library is damaged: the vectors of item {lost} are in no generation. "
            "Index the videos into a new library."
        )
    old_rows = old.positions(ids[from_old])
    new_rows = np.searchsorted(staged_ids, fresh)
    vectors = {}
    for level in spec.levels:
        rows = np.empty((len(ids), level.dim), dtype=np.float32)
        rows[from_old] = old.rows(level.name, old_rows)
        rows[~from_old] = staged_vectors[level.name][new_rows]
        vectors[level.name] = rows
    return ids, vectors
