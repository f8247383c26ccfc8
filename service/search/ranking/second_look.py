"""The best clips of a sentence, scored again by the vectors of their frames, and raised again by the texts there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit, SearchResult
from indexer.search.second_look import look_again
from indexer.search.text_evidence import BestText, TextEvidence
from indexer.search.vectors.gallery import Gallery
from model.levels import WORDS, FloatArray, LevelSpec, Vectors
from quartet.errors import InputError


@dataclass(frozen=True)
class SecondLook:
    """How many clips were scored again, and in how many milliseconds."""

    candidates: int
    took_ms: float


def require_frames(gallery: AnyGallery) -> None:
    """Raises InputError unless there are vectors of frames."""
    if not isinstance(gallery, Gallery):
        raise InputError("This service searches in Milvus, which has no vectors of frames. Leave out rerank.")
    if gallery.frames is None:
        raise InputError(
            "This library has no vectors of frames. Leave out rerank, or store them with `quartet index "
            "--frame-vectors` and a two-tower model."
        )


def look_again_at(
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    query: Vectors,
    phrases: Mapping[str, FloatArray],
    found: SearchResult,
    weights: Mapping[str, float],
    texts: TextEvidence | None,
    most: int,
) -> tuple[SearchResult, SecondLook]:
    """The first `most` of what a search has found, in the order of a second look, and what that was.

    Where the pictures weigh nothing, the order stays.
    """
    began = time.perf_counter()
    assert isinstance(gallery, Gallery)
    others = sum(weights[spec.name] for spec in specs if query[spec.name].any())
    raises = texts is not None and weights[WORDS] > 0
    hits = found.hits[:most]
    if others:
        hits = look_again(gallery, specs, phrases, found.hits, None if raises else most)
        if texts is not None and raises:
            said = {hit.id: _text_of(hit) for hit in found.hits}
            raised = (texts.raised(hit, said[hit.id], weights[WORDS], others) for hit in hits)
            hits = sorted(raised, key=lambda hit: (-hit.score, hit.id))[:most]
    took = round(1e3 * (time.perf_counter() - began), 3)
    shown = replace(found, hits=hits, took_ms={**found.took_ms, "rerank": took})
    return shown, SecondLook(len(found.hits), took)


def _text_of(hit: Hit) -> BestText | None:
    """The text that was found for a hit, if there is one."""
    words = hit.levels.get(WORDS)
    return None if words is None or not words.activation else BestText(0, words.raw)
