"""Copying a gallery into a collection of Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from indexer.milvus.address import Address, library_errors
from indexer.milvus.collections import GalleryFacts, build_index, gallery_schema, has_field
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.index_choice import RECALL, Questions, index_of, tune
from indexer.search.filters import ClipTable
from indexer.search.vectors.gallery import Gallery
from quartet.errors import LibraryError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_BYTES = 8 * 2**20
"""Of vectors that go over in one call; Milvus takes 64 MiB."""


def copy_gallery(
    client: MilvusClient,
    address: Address,
    collection: str,
    gallery: Gallery,
    approximate_from: int,
    table: ClipTable | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    recall: float = RECALL,
    questions: Callable[[], Questions | None] = lambda: None,
) -> GalleryFacts:
    """Make a collection of the items of `gallery`, again if there is one of that name; returns what to know of it.

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
    with library_errors(address):
        drop(client, collection)
        client.create_collection(collection, schema=gallery_schema(client, gallery.levels, timed=table is not None))
        on_progress(0, len(gallery))
        done = 0
        for rows in _rows(gallery, table):
            client.insert(collection, rows)
            done += len(rows)
            on_progress(done, len(gallery))
        client.flush(collection)
        index = client.prepare_index_params()
        for spec in gallery.levels:
            index.add_index(spec.name, metric_type="IP", **parameters)
        build_index(client, collection, index)
        counted = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
    if counted != len(gallery):
        raise LibraryError(
            f"{address} has {counted} of {len(gallery)} items in {collection}. If another export was running, "
            "wait until it has finished, and run this one again."
        )
    if lists is None:
        return facts
    untuned = MilvusGallery(client, address, collection, gallery.levels, replace(facts, lists=lists))
    return replace(facts, lists=tune(untuned, gallery, questions()))


def drop(client: MilvusClient, collection: str) -> None:
    """Drop a collection, if there is one of that name."""
    if client.has_collection(collection):
        client.drop_collection(collection)


def _rows(gallery: Gallery, table: ClipTable | None) -> Iterator[list[dict[str, Any]]]:
    """The items as Milvus takes them, a call's worth at a time."""
    size = max(1, _BYTES // sum(4 * spec.dim for spec in gallery.levels))
    for start in range(0, len(gallery), size):
        ids = gallery.ids[start : start + size]
        positions = gallery.positions(ids)
        columns: dict[str, list[Any]] = {"id": ids.tolist()}
        if table is not None:
            columns |= _catalogued(table, ids)
        for column, spec in enumerate(gallery.levels):
            columns[has_field(spec.name)] = gallery.present[positions, column].tolist()
            columns[spec.name] = list(gallery.rows(spec.name, positions))
        yield [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _catalogued(table: ClipTable, ids: npt.NDArray[np.int64]) -> dict[str, list[Any]]:
    """The columns of the catalogue for clips; zeros for one that has left it since: it is not shown any more."""
    _, places, found = np.intersect1d(ids, table.ids, assume_unique=True, return_indices=True)
    columns = {"video": table.video_ids, "start": table.starts, "end": table.ends}
    out = {}
    for name, column in columns.items():
        own = np.zeros(len(ids), dtype=column.dtype)
        own[places] = column[found]
        out[name] = own.tolist()
    return out
