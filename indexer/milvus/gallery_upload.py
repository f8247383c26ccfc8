"""Copying a gallery into Milvus: a collection per level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from indexer.milvus.address import Address, library_errors
from indexer.milvus.collections import HAS, VECTOR, GalleryFacts, build_index, level_collection, level_schema
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.index_choice import RECALL, Questions, index_of, tune
from indexer.search.filters import ClipTable
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.row_source import BLOCK
from model.levels import LevelSpec
from quartet.errors import LibraryError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_BYTES = 8 * 2**20
"""Of vectors that go over in one call; Milvus takes 64 MiB."""


def copy_gallery(
    client: MilvusClient,
    address: Address,
    name: str,
    gallery: Gallery,
    approximate_from: int,
    table: ClipTable | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    recall: float = RECALL,
    questions: Callable[[], Questions | None] = lambda: None,
) -> GalleryFacts:
    """Make the collections of `gallery`, again if they are there; returns what to know of it.

    name              begins their names
    approximate_from  from how many items on it gets inverted lists; recall: what these are to reach
    table             for clips: their videos and times
    on_progress       gets how many items have gone over, and how many there are
    questions         gives what the lists are tuned with, if there are any; None: items of the gallery itself
    Raises LibraryError if Milvus does not answer, or does not have every item in the end.
    """
    facts = GalleryFacts(
        len(gallery),
        {spec.name: gallery.bounds[spec.name].norm for spec in gallery.levels},
        gallery.patterns.tolist(),
    )
    parameters, lists = index_of(len(gallery), approximate_from, recall)
    collections = {spec.name: level_collection(name, spec.name) for spec in gallery.levels}
    with library_errors(address):
        for spec in gallery.levels:
            drop(client, collections[spec.name])
            schema = level_schema(client, spec, timed=table is not None)
            client.create_collection(collections[spec.name], schema=schema)
        on_progress(0, len(gallery))
        done = 0
        for rows in _rows(gallery, table):
            for level, own in rows.items():
                client.insert(collections[level], own)
            done += len(own)
            on_progress(done, len(gallery))
        with ThreadPoolExecutor(len(collections)) as threads:
            list(threads.map(lambda own: _finish(client, address, own, parameters, len(gallery)), collections.values()))
    if lists is None:
        return facts
    untuned = MilvusGallery(client, address, name, gallery.levels, replace(facts, lists=lists))
    return replace(facts, lists=tune(untuned, gallery, questions()))


def _finish(client: MilvusClient, address: Address, collection: str, parameters: dict[str, Any], count: int) -> None:
    """Make the index of a collection. Raises LibraryError unless it has `count` items."""
    client.flush(collection)
    index = client.prepare_index_params()
    index.add_index(VECTOR, metric_type="IP", **parameters)
    build_index(client, collection, index)
    counted = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
    if counted != count:
        raise LibraryError(
            f"{address} has {counted} of {count} items in {collection}. If another export was running, "
            "wait until it has finished, and run this one again."
        )


def drop(client: MilvusClient, collection: str) -> None:
    """Drop a collection, if there is one of that name."""
    if client.has_collection(collection):
        client.drop_collection(collection)


def _rows(gallery: Gallery, table: ClipTable | None) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """The items of every level as Milvus takes them, a call's worth at a time."""
    for start in range(0, len(gallery), BLOCK):
        ids = gallery.ids[start : start + BLOCK]
        positions = gallery.positions(ids)
        shared = {"id": ids, **({} if table is None else _catalogued(table, ids))}
        vectors = {spec.name: gallery.rows(spec.name, positions) for spec in gallery.levels}
        yield from level_rows(gallery.levels, shared, gallery.present[positions], vectors)


def level_rows(
    levels: Sequence[LevelSpec],
    shared: Mapping[str, npt.NDArray[Any]],
    present: npt.NDArray[np.bool_],
    vectors: Mapping[str, npt.NDArray[Any]],
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Items as Milvus takes them, by level, a call's worth at a time.

    shared   columns that every level has; present (n, L): whether an item has a level; vectors: (n, d_l) by level
    """
    size = max(1, _BYTES // max(4 * spec.dim for spec in levels))
    for start in range(0, len(present), size):
        some = slice(start, start + size)
        rows = {}
        for column, spec in enumerate(levels):
            columns = {name: own[some].tolist() for name, own in shared.items()}
            columns |= {HAS: present[some, column].tolist(), VECTOR: list(vectors[spec.name][some])}
            rows[spec.name] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        yield rows


def _catalogued(table: ClipTable, ids: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    """The columns of the catalogue for clips; zeros for one that has left it since: it is not shown any more."""
    _, places, found = np.intersect1d(ids, table.ids, assume_unique=True, return_indices=True)
    columns = {"video": table.video_ids, "start": table.starts, "end": table.ends}
    out = {}
    for name, column in columns.items():
        own = np.zeros(len(ids), dtype=column.dtype)
        own[places] = column[found]
        out[name] = own
    return out
