"""Whether a collection gets inverted lists, and how many of them a search looks into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.milvus.collections import Lists
from indexer.milvus.gallery import MilvusGallery
from indexer.search.approximate.encoding import sample
from indexer.search.remote_gallery import AnyGallery
from indexer.search.top_k import search_batch
from indexer.search.vectors.gallery import Gallery
from model.encoder import Encoder
from model.levels import Vectors

RECALL = 0.99
"""Recall@10 that lists are to reach, unless an export asks for another."""

_MAX_LISTS = 1024
"""Lists at most: Milvus makes them per segment, of some 250,000 vectors of 256 dimensions each."""

_DEPTH = 128
_QUERIES = 100
_MIN_QUERIES = 50
"""Items of the other gallery from which it is asked with: a recall of fewer questions says little."""

_BATCH = 10
_K = 10


@dataclass(frozen=True)
class Questions:
    """Queries {level: (Q, d_l)} to tune with; by: what they are ("captions")."""

    by: str
    vectors: Vectors


def questions_of(gallery: Gallery, kind: str, encoder: Encoder) -> Questions | None:
    """Items of a gallery of `kind` ("clips" or "captions") as questions to the other; None if there are too few.

    They are farther from the lists than the items that are asked for, and so ask more of them.
    """
    if len(gallery) < _MIN_QUERIES:
        return None
    vectors = gallery.vectors(sample(gallery.ids, _QUERIES))
    queries = encoder.clip_queries(vectors) if kind == "clips" else encoder.text_queries(vectors)
    useful = _queries_with_levels(gallery, queries)
    return Questions(kind, {name: rows[useful] for name, rows in queries.items()}) if useful.any() else None


def index_of(count: int, approximate_from: int, recall: float) -> tuple[dict[str, Any], Lists | None]:
    """The index of a gallery of `count` items, as Milvus takes it, and its lists before they are tuned.

    A small gallery is compared whole. The lists hold unchanged vectors: looked into all of them, they answer exactly.
    """
    if count < approximate_from:
        return {"index_type": "FLAT"}, None
    # About twice the square root of the number of items, a power of two.
    lists = min(_MAX_LISTS, max(1, 1 << round(np.log2(2 * np.sqrt(max(count, 1))))))
    return {"index_type": "IVF_FLAT", "params": {"nlist": lists}}, Lists(lists, 1, _DEPTH, recall, 0.0)


def tune(there: MilvusGallery, gallery: Gallery, questions: Questions | None) -> Lists:
    """Look into more lists until the target is reached, or all are looked into.

    there      the copy of `gallery`, with lists that are yet untuned
    questions  None: items of the gallery itself. Such an item is its own best answer, which any lists find: it is taken
               out of both answers
    """
    tried = there.facts.lists
    assert tried is not None
    itself: list[int | None]
    if questions is None:
        ids = sample(gallery.ids, _QUERIES)
        queries = gallery.vectors(ids)
        useful = _queries_with_levels(gallery, queries)
        itself, queries = ids[useful].tolist(), {name: rows[useful] for name, rows in queries.items()}
    else:
        queries = questions.vectors
        itself = [None] * len(queries[gallery.levels[0].name])

    def best(asked: AnyGallery, exact: bool) -> list[set[int]]:
        own = []
        for start in range(0, len(itself), _BATCH):
            batch = {name: rows[start : start + _BATCH] for name, rows in queries.items()}
            own += search_batch(asked, gallery.levels, batch, _K + 1, {}, exact=exact)
        return [
            {hit.id for hit in [hit for hit in result.hits if hit.id != item][:_K]}
            for result, item in zip(own, itself, strict=True)
        ]

    truth = best(gallery, exact=True)
    while True:
        there.facts = replace(there.facts, lists=tried)
        pairs = zip(best(there, exact=False), truth, strict=True)
        recall = float(np.mean([len(own & right) / len(right) if right else 1.0 for own, right in pairs]))
        tried = replace(tried, recall=recall)
        if recall >= tried.target or tried.nprobe == tried.count:
            return tried
        tried = replace(tried, nprobe=min(2 * tried.nprobe, tried.count))


def _queries_with_levels(gallery: Gallery, queries: Vectors) -> npt.NDArray[np.bool_]:
    """Which queries have a level that counts."""
    return np.any([queries[spec.name].any(axis=1) for spec in gallery.levels if spec.weight > 0], axis=0)
