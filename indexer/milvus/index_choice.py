"""Whether a collection gets inverted lists, and how many of them a search looks into."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.milvus.address import Address
from indexer.milvus.collections import GalleryFacts, Lists
from indexer.milvus.gallery import MilvusGallery
from indexer.search.approximate.list_training import ListSettings, list_count
from indexer.search.remote_gallery import AnyGallery
from indexer.search.top_k import search_batch
from indexer.search.vectors.gallery import Gallery

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_MOST = 1024
"""Lists at most: Milvus makes them per segment, of some 250,000 vectors of 256 dimensions each."""

_DEPTH = 128
_QUERIES = 100
_BATCH = 10
_K = 10
_SEED = 20220914


def index_of(count: int, settings: ListSettings) -> tuple[dict[str, Any], Lists | None]:
    """The index of a gallery of `count` items, as Milvus takes it, and its lists before they are tuned.

    A small gallery is compared whole. The lists hold unchanged vectors: looked into all of them, they answer exactly.
    """
    if count < settings.approximate_from:
        return {"index_type": "FLAT"}, None
    lists = min(_MOST, list_count(count))
    untuned = Lists(lists, 1, _DEPTH, settings.recall, 0.0)
    return {"index_type": "IVF_FLAT", "params": {"nlist": lists}}, untuned


def tune(client: MilvusClient, address: Address, collection: str, gallery: Gallery, facts: GalleryFacts) -> Lists:
    """Look into more lists until the target is reached on items of the gallery as queries, or all are looked into.

    An item is its own best answer, which any lists find: it is taken out of both answers.
    """
    assert facts.lists is not None
    tried = facts.lists
    ids = np.random.default_rng(_SEED).choice(gallery.ids, min(_QUERIES, len(gallery)), replace=False)
    vectors = gallery.vectors(ids)
    useful = np.any([vectors[spec.name].any(axis=1) for spec in gallery.levels if spec.weight > 0], axis=0)
    ids, queries = ids[useful], {name: rows[useful] for name, rows in vectors.items()}

    def best(there: AnyGallery, exact: bool) -> list[set[int]]:
        own = []
        for start in range(0, len(ids), _BATCH):
            batch = {name: rows[start : start + _BATCH] for name, rows in queries.items()}
            own += search_batch(there, gallery.levels, batch, _K + 1, {}, exact=exact)
        return [
            {hit.id for hit in [hit for hit in result.hits if hit.id != item][:_K]}
            for result, item in zip(own, ids.tolist(), strict=True)
        ]

    truth = best(gallery, exact=True)
    while True:
        there = MilvusGallery(client, address, collection, gallery.levels, replace(facts, lists=tried))
        pairs = zip(best(there, exact=False), truth, strict=True)
        recall = float(np.mean([len(own & right) / len(right) if right else 1.0 for own, right in pairs]))
        tried = replace(tried, recall=recall)
        if recall >= tried.target or tried.nprobe == tried.count:
            return tried
        tried = replace(tried, nprobe=min(2 * tried.nprobe, tried.count))
