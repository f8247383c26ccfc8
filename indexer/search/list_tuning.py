"""Choosing how to search inverted lists: how many of them, and how deep, reach the recall that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from indexer.search.approximate.inverted_lists import Tuning
from indexer.search.approximate.list_training import sample
from indexer.search.top_k import approximate_batch, search_batch
from indexer.search.vectors.gallery import Gallery
from model.encoder import Encoder
from model.levels import Vectors

_QUERIES = 200
_FEWEST = 50
"""Items of the other gallery from which it is asked with: a recall of fewer questions says little."""

_K = 10


@dataclass(frozen=True)
class Questions:
    """Queries {level: (Q, d_l)} to tune with; `by`: what they are ("captions")."""

    by: str
    vectors: Vectors


def questions_of(gallery: Gallery, kind: str, encoder: Encoder) -> Questions | None:
    """Items of a gallery of `kind` ("clips" or "captions") as questions to the other; None if there are too few."""
    if len(gallery) < _FEWEST:
        return None
    vectors = gallery.vectors(sample(gallery.ids, _QUERIES))
    queries = encoder.clip_queries(vectors) if kind == "clips" else encoder.text_queries(vectors)
    useful = _queries_with_levels(gallery, queries)
    return Questions(kind, {name: rows[useful] for name, rows in queries.items()}) if useful.any() else None


def needs_retuning(tuning: Tuning, available: int) -> bool:
    """Whether lists should be tuned once more, now that the other gallery has so many items to ask with.

    They should when those are the first that can be asked with, and when there are twice as many questions as were
    asked: the recall of a few is a guess.
    """
    usable = min(available, _QUERIES)
    return usable >= _FEWEST and (not tuning.by or usable >= 2 * tuning.queries)


def tune(gallery: Gallery, untuned: Tuning, questions: Questions | None = None) -> Tuning:
    """Choose the cheapest nprobe and depth that reach the target.

    questions  items of the other gallery, which lie farther from the lists than the gallery's own and so ask more of
               them. None: held-out items of the gallery itself
    An item is its own best answer, which any lists find; it is taken out of both answers before they are
    compared. If nothing reaches the target, the best is chosen, and `retraining_due` will say so.
    """
    if questions is None:
        ids = sample(gallery.ids, _QUERIES)
        queries = gallery.vectors(ids)
        useful = _queries_with_levels(gallery, queries)
        queries, more = {name: rows[useful] for name, rows in queries.items()}, _K + 1
        itself = ids[useful].tolist()
    else:
        queries, more = questions.vectors, _K
        itself = [None] * len(queries[gallery.levels[0].name])
    truth = [
        [hit.id for hit in result.hits if hit.id != item][:_K]
        for item, result in zip(
            itself, search_batch(gallery, gallery.levels, queries, more, {}, exact=True), strict=True
        )
    ]
    best = replace(untuned, queries=len(itself), by="" if questions is None else questions.by)
    for nprobe, depth in _settings(gallery, int(untuned.type[3:].split(",")[0])):
        tried = replace(best, nprobe=nprobe, depth=depth)
        found = approximate_batch(gallery, gallery.levels, queries, more, {}, tried)
        overlap = [
            len({hit.id for hit in result.hits} & set(wanted)) / max(len(wanted), 1)
            for wanted, result in zip(truth, found, strict=True)
        ]
        tried = replace(tried, recall=float(np.mean(overlap)))
        if tried.recall > best.recall:
            best = tried
        if best.recall >= best.target:
            break
    return best


def _queries_with_levels(gallery: Gallery, queries: Vectors) -> npt.NDArray[np.bool_]:
    """Which queries have a level that counts."""
    return np.any([queries[spec.name].any(axis=1) for spec in gallery.levels if spec.weight > 0], axis=0)


def _settings(gallery: Gallery, nlist: int) -> list[tuple[int, int]]:
    """(nprobe, depth), the cheapest first, by the number of codes and rows that they read."""
    per_list = len(gallery) / nlist
    probes = [p for p in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256) if p <= nlist]
    pairs = [(nprobe, depth) for nprobe in probes for depth in (32, 64, 128, 256, 512)]
    # A row that is scored again is read from elsewhere, at every level: it costs as much as some 30 codes.
    return sorted(pairs, key=lambda pair: pair[0] * per_list + 30 * pair[1])
