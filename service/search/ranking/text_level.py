"""The level `words` of the library that answers: which texts there are, and how near to them a question has to be.

How near two sentences are that have nothing to do with each other differs from model to model. So the level begins to
count some way between that and the same sentence: sigmoid(5 (x - 0.27)), with x = (cosine - m) / (1 - m) and m the mean
cosine of unrelated sentences. `benchmarks.quality.word_weights` chose these numbers and the weight (docs/texts.md).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.catalog.text_reader import newest_source, text_links
from indexer.search.filters import ClipFilter
from indexer.search.question import make_question
from indexer.search.ranking import score_items
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import SearchResult
from indexer.search.text_evidence import Ids, ListedClips, Pictures, ScoredClips, TextEvidence
from indexer.search.text_links import TextLinks
from indexer.search.top_k import search_batch
from indexer.search.vectors.gallery import Gallery
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from model.levels import WORDS, FloatArray, LevelSpec, Vectors, resolve_weights
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.kept_arrays import Arrays, kept_or_made

UNRELATED = (
    "The central bank raised interest rates by half a point.",
    "She sings a lullaby to the baby every night.",
    "Tighten the bolts before you mount the wheel.",
    "Volcanoes erupt where tectonic plates meet.",
    "The striker missed the penalty in the last minute.",
    "Add two spoons of sugar and stir until it melts.",
    "A dog runs across the beach after a stick.",
    "The defendant pleaded not guilty to all charges.",
    "Penguins huddle together to survive the winter.",
    "Run this command to install the library.",
    "An old man reads a newspaper on a bench.",
    "Heavy rain flooded the subway stations overnight.",
    "The orchestra rehearses the symphony on Friday.",
    "Two children build a tower of wooden blocks.",
    "The vaccine protects children against measles.",
    "I lost my passport on the train to Vienna.",
)
"""Sentences that have nothing to do with each other."""

NOISE = (
    "qwzrt plok", "asdf jkl", "xyzzy plugh", "blorp snarf glurg", "vbnm rtzu wsx", "lorem ipsum dolor", "ghjk tzui",
    "fnord", "zxcv", "mnbv cxy lkjh", "tralala bim bam", "wug zorp", "dfgh rtz", "qqq www", "hjkl yxcv asd", "grmpf",
)  # fmt: skip
"""Nobody looks for these. How near the nearest text is to one of them is what chance gives."""

SHARPNESS, CENTRE = 5.0, 0.27
"""See the module."""

DEFAULT_WEIGHT = 4.0
"""The default weight of the level, in sums of the weights of all others."""

_MAX_MEAN_COSINE = 0.95
"""A model to which all sentences are alike tells nothing by their cosine; this much difference is left at least."""


def words_level(
    levels: Sequence[LevelSpec], unrelated: float, sharpness: float = SHARPNESS, centre: float = CENTRE
) -> LevelSpec:
    """The level for a model. `unrelated`: the mean cosine of sentences that have nothing to do with each other."""
    scale = sharpness / (1 - min(unrelated, _MAX_MEAN_COSINE))
    # sigmoid(scale (cosine - m) - sharpness c)
    bias = -scale * min(unrelated, _MAX_MEAN_COSINE) - sharpness * centre
    weight = DEFAULT_WEIGHT * sum(level.weight for level in levels)
    return LevelSpec(WORDS, levels[0].dim, "sigmoid", scale, bias, weight)


def mean_cosine(rows: np.ndarray) -> float:
    """Of all pairs of different rows (n, d) of length 1."""
    products = rows.astype(np.float64) @ rows.astype(np.float64).T
    return float((products.sum() - np.trace(products)) / (len(rows) * (len(rows) - 1)))


@dataclass(frozen=True)
class _Known:
    generation: ServedGeneration
    newest: int
    evidence: TextEvidence | None


class TextLevel:
    """See the module. Safe to use from many threads."""

    def __init__(self, library: Library, encoder: SharedEncoder | EncoderProcesses) -> None:
        self._library = library
        self._encoder = encoder
        self._levels = encoder.spec.levels
        self._spec: LevelSpec | None = None
        self._noise: FloatArray | None = None
        self._known: _Known | None = None
        self._making = threading.Lock()

    def of(self, generation: ServedGeneration) -> TextEvidence | None:
        """The texts of the clips of a generation; None where there are none."""
        newest, known = newest_source(self._library.catalog), self._known
        if known is None or known.generation is not generation or known.newest != newest:
            with self._making:
                known = self._known
                if known is None or known.generation is not generation or known.newest != newest:
                    known = self._known = _Known(generation, newest, self._make(generation, newest))
        return known.evidence

    def _make(self, generation: ServedGeneration, newest: int) -> TextEvidence | None:
        if not newest:
            return None
        texts, clips = text_links(self._library.catalog, self._library.clip_table())
        there = _contained(generation.captions, texts) & _contained(generation.clips, clips)
        if not there.any():
            return None
        if self._spec is None or self._noise is None:
            found = kept_or_made(self._encoder, (UNRELATED, NOISE), self._encoded)
            self._spec = words_level(self._levels, mean_cosine(found["unrelated"]))
            self._noise = found["noise"]
        links = TextLinks(texts[there], clips[there])
        return TextEvidence(generation.captions, self._levels, links, self._spec, self._noise)

    def _encoded(self) -> Arrays:
        return {
            "unrelated": self._encoder.encode_queries(UNRELATED).vectors[WORDS],
            "noise": self._encoder.encode_queries(NOISE).vectors[WORDS],
        }


def checked_weights(specs: Sequence[LevelSpec], requested: Mapping[str, float]) -> dict[str, float]:
    """The weights of the model's levels for a request, which may weigh `words` alone.

    Raises InputError as `resolve_weights` does.
    """
    of_levels = {name: weight for name, weight in requested.items() if name != WORDS}
    if requested.get(WORDS, 0) > 0 and all(of_levels.get(spec.name, spec.weight) == 0 for spec in specs):
        resolve_weights(specs, {**of_levels, specs[0].name: 1.0})
        return {spec.name: 0.0 for spec in specs}
    return resolve_weights(specs, of_levels)


def all_weights(
    specs: Sequence[LevelSpec], requested: Mapping[str, float], texts: TextEvidence | None
) -> dict[str, float]:
    """The weights of a request, with that of `words` where there are texts. Raises InputError."""
    if texts is None:
        return resolve_weights(specs, {name: weight for name, weight in requested.items() if name != WORDS})
    return {**checked_weights(specs, requested), WORDS: requested.get(WORDS, texts.spec.weight)}


def searched(
    library: Library,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    queries: Sequence[Vectors],
    k: int,
    weights: Mapping[str, float],
    wanted: ClipFilter | None,
    allowed: Any,
    texts: TextEvidence | None,
) -> list[SearchResult]:
    """`search_batch` of queries, raised by `texts`.

    weights  of the levels and, with texts, of `words`
    allowed  what `Library.allowed` gives for the filter `wanted`
    """
    pictures = {name: weight for name, weight in weights.items() if name != WORDS}
    found: list[SearchResult | None] = [None] * len(queries)
    if any(pictures.values()):
        stacked = {spec.name: np.concatenate([query[spec.name] for query in queries]) for spec in specs}
        found = list(search_batch(gallery, specs, stacked, k, pictures, allowed))
    if texts is None or not weights[WORDS]:
        return [result for result in found if result is not None]
    ids = allowed if wanted is None or isinstance(allowed, np.ndarray) else library.select_clips(wanted)
    near: list[SearchResult | None] = [None] * len(queries)
    asked = [i for i, query in enumerate(queries) if WORDS in query and query[WORDS].any()]
    if ids is None and asked:
        for i, own in zip(asked, texts.nearest(np.concatenate([queries[i][WORDS] for i in asked])), strict=True):
            near[i] = own
    return [
        _raised(texts, gallery, specs, query, pictures, weights[WORDS], k, result, allowed, ids, own)
        for query, result, own in zip(queries, found, near, strict=True)
    ]


def _raised(
    texts: TextEvidence,
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    query: Vectors,
    pictures: Mapping[str, float],
    weight: float,
    k: int,
    found: SearchResult | None,
    allowed: Any,
    ids: Any,
    near: SearchResult | None,
) -> SearchResult:
    if WORDS not in query or not query[WORDS].any():
        # A question of pictures alone does not count for texts.
        return found or SearchResult([], True, None, 0, {})
    total = sum(pictures[spec.name] for spec in specs if query[spec.name].any())
    # Where the pictures weigh nothing they are scored all the same, to be shown.
    counted = dict(pictures) if total else {spec.name: 1.0 for spec in specs}

    def best(depth: int) -> SearchResult:
        return search_batch(gallery, specs, query_of(specs, query), depth, pictures, allowed)[0]

    def among(clips: Ids) -> ScoredClips:
        rows = query_of(specs, query)
        if isinstance(gallery, Gallery):
            return score_items(make_question(specs, rows, counted), clips, gallery.vectors(clips))
        return ListedClips(search_batch(gallery, specs, rows, len(clips), counted, clips, exact=True)[0].hits)

    return texts.raise_hits(query[WORDS], weight, k, Pictures(best, among, total), found, ids, near)


def query_of(specs: Sequence[LevelSpec], query: Vectors) -> Vectors:
    """The rows of the model's levels alone."""
    return {spec.name: query[spec.name] for spec in specs}


def _contained(gallery: AnyGallery, ids: np.ndarray) -> np.ndarray:
    if isinstance(gallery, Gallery):
        return np.isin(ids, gallery.ids)
    unique, place = np.unique(ids, return_inverse=True)
    return np.array([int(item) in gallery for item in unique], np.bool_)[place]
