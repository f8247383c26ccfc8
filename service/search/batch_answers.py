"""What the workers do with a batch: encode, search the live generation, and say what there is to say of each hit.

Every function takes a batch of questions of one kind and returns an answer, or the error that it alone gets, for
each. A batch is answered from one generation, from its first search to its last look into the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.store.library import Library
from model.language.parsed_caption import Attributes
from model.levels import Vectors
from quartet.errors import NotFoundError, QuartetError
from quartet.schemas.search import CaptionAnswer, ClipAnswer, SimilarAnswer
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.answer_json import Batch, Stopwatch, attributes_json, caption_hits, clip_hits
from service.search.batch_ranking import RankedItems, RankQuery, as_cosines, contains, rank_all, vectors_of
from service.search.live_generation import LiveGeneration
from service.search.requests import ClipQuery, FramesQuery, SentenceQueries
from service.search.result_cache import ResultCache


@dataclass(frozen=True)
class EncodedText:
    """One text: its query vectors for an index of clips, one row per level, and its attributes."""

    query: Vectors
    attributes: Attributes


class BatchAnswerer:
    """See the module. `recent` and `read` keep encoded sentences and the attributes of captions."""

    def __init__(
        self, library: Library, encoder: SharedEncoder | EncoderProcesses, live: LiveGeneration, kept: int
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._live = live
        self.recent: ResultCache[str, EncodedText] = ResultCache(kept)
        self.read: ResultCache[str, Attributes] = ResultCache(kept)

    def sentences(self, asked: Sequence[SentenceQueries]) -> list[list[ClipAnswer] | QuartetError]:
        """Text to video. A request of several sentences gets all of its answers or an error.

        All of them name the same generation.
        """
        generation = asked[0].generation or self._live.current()
        watch = Stopwatch()
        texts = [text for one in asked for text in one.texts]
        encoded = self.recent.get(texts, self._encode)
        watch.lap("encode")
        wanted = [one.wanted for one in asked for _ in one.texts]
        queries = [RankQuery(text.query, own) for text, own in zip(encoded, wanted, strict=True)]
        ranked = rank_all(self._library, generation.clips, self._encoder.spec.levels, queries)
        watch.lap("search")
        clips = self._library.catalog.clips(_ids(ranked))
        shown = self._matched_words(generation.clips, ranked, [text.attributes for text in encoded])
        # The time for making JSON of them is not yet known: it is small.
        watch.lap("hydrate")
        batch = Batch(generation, self._encoder.spec, len(texts), watch)
        answers = iter(
            own
            if isinstance(own, QuartetError)
            else ClipAnswer(
                query=text,
                query_attributes=attributes_json(known.attributes),
                hits=clip_hits(own, clips, matched),
                **batch.provenance(what, own),
            )
            for text, known, what, own, matched in zip(texts, encoded, wanted, ranked, shown, strict=True)
        )
        return [_concatenate([next(answers) for _ in one.texts]) for one in asked]

    def similar(self, asked: Sequence[ClipQuery]) -> list[SimilarAnswer | QuartetError]:
        """Video to video, for clips of the library."""

        def queries(known: Sequence[ClipQuery], vectors: Vectors) -> list[RankQuery]:
            return [RankQuery(_row(vectors, i), one.wanted, one.clip_id) for i, one in enumerate(known)]

        generation = self._live.current()
        watch = Stopwatch()
        known = [one for one in asked if contains(generation.clips, one.clip_id)]
        rows = queries(known, vectors_of(generation.clips, [one.clip_id for one in known]))
        watch.lap("encode")
        ranked = rank_all(self._library, generation.clips, as_cosines(self._encoder.spec.levels), rows)
        watch.lap("search")
        clips = self._library.catalog.clips(_ids(ranked))
        shown = self._matched_words(generation.clips, ranked, [self._caption_attributes(one.clip_id) for one in known])
        watch.lap("hydrate")
        batch = Batch(generation, self._encoder.spec, len(asked), watch)
        found = iter(
            own
            if isinstance(own, QuartetError)
            else SimilarAnswer(
                clip_id=one.clip_id, hits=clip_hits(own, clips, matched), **batch.provenance(one.wanted, own)
            )
            for one, own, matched in zip(known, ranked, shown, strict=True)
        )
        return [next(found) if one in known else _no_clip(one.clip_id) for one in asked]

    def captions(self, asked: Sequence[ClipQuery]) -> list[CaptionAnswer | QuartetError]:
        """Video to text, for clips of the library."""
        generation = self._live.current()
        watch = Stopwatch()
        known = [one for one in asked if contains(generation.clips, one.clip_id)]
        vectors = vectors_of(generation.clips, [one.clip_id for one in known])
        batch = Batch(generation, self._encoder.spec, len(asked), watch)
        found = iter(self._describe(batch, vectors, known))
        return [next(found) if one in known else _no_clip(one.clip_id) for one in asked]

    def frames(self, asked: Sequence[FramesQuery]) -> list[CaptionAnswer | QuartetError]:
        """Video to text, for clips that are not in the library."""
        generation = self._live.current()
        watch = Stopwatch()
        vectors = self._encoder.encode_clips([one.frames for one in asked])
        return self._describe(Batch(generation, self._encoder.spec, len(asked), watch), vectors, asked)

    def _describe(
        self, batch: Batch, vectors: Vectors, asked: Sequence[ClipQuery | FramesQuery]
    ) -> list[CaptionAnswer | QuartetError]:
        """Captions for clips, given by their gallery vectors."""
        if not asked:
            return []
        captions = batch.generation.captions
        queries = self._encoder.clip_queries(vectors)
        batch.watch.lap("encode")
        rows = [RankQuery(_row(queries, i), one.wanted) for i, one in enumerate(asked)]
        ranked = rank_all(self._library, captions, self._encoder.spec.levels, rows)
        batch.watch.lap("search")
        texts = self._library.catalog.captions(_ids(ranked))
        pairs = [(i, hit.id) for i, own in enumerate(ranked) for hit in _hits(own) if hit.id in texts]
        said = self.read.get([texts[caption].text for _, caption in pairs], self._encoder.attributes)
        own_clip = {level: array[[i for i, _ in pairs]] for level, array in vectors.items()}
        concepts = iter(self._encoder.concepts(own_clip, said))
        shown = [{hit.id: next(concepts) for hit in _hits(own) if hit.id in texts} for own in ranked]
        batch.watch.lap("hydrate")
        return [
            own
            if isinstance(own, QuartetError)
            else CaptionAnswer(hits=caption_hits(own, texts, matched), **batch.provenance(one.wanted, own))
            for one, own, matched in zip(asked, ranked, shown, strict=True)
        ]

    def _encode(self, texts: Sequence[str]) -> list[EncodedText]:
        found = self._encoder.encode_queries(texts)
        return [EncodedText(_row(found.vectors, i), said) for i, said in enumerate(found.attributes)]

    def _caption_attributes(self, clip_id: int) -> Attributes:
        """The attributes of all captions of a clip."""
        texts = [caption.text for caption in self._library.catalog.captions_of(clip_id)]
        said = self.read.get(texts, self._encoder.attributes)
        together = {level: _distinct(one.of(level) for one in said) for level in ("entity", "action", "relation")}
        return Attributes(**together)

    def _matched_words(
        self, gallery: Any, ranked: Sequence[RankedItems | QuartetError], words: Sequence[Attributes]
    ) -> list[dict[int, Attributes]]:
        """For every query: which of its words each of its hits shows."""
        ids = [hit.id for own in ranked for hit in _hits(own)]
        candidates = [said for own, said in zip(ranked, words, strict=True) for _ in _hits(own)]
        found = iter(self._encoder.concepts(vectors_of(gallery, ids), candidates))
        return [{hit.id: next(found) for hit in _hits(own)} for own in ranked]


def _hits(ranked: RankedItems | QuartetError) -> Sequence[Any]:
    return () if isinstance(ranked, QuartetError) else ranked.hits


def _ids(ranked: Sequence[RankedItems | QuartetError]) -> list[int]:
    return sorted({hit.id for own in ranked for hit in _hits(own)})


def _concatenate(answers: Sequence[ClipAnswer | QuartetError]) -> list[ClipAnswer] | QuartetError:
    good = [answer for answer in answers if not isinstance(answer, QuartetError)]
    return good if len(good) == len(answers) else next(a for a in answers if isinstance(a, QuartetError))


def _no_clip(clip_id: int) -> NotFoundError:
    return NotFoundError(f"There is no clip {clip_id} in this library.")


def _row(vectors: Mapping[str, Any], i: int) -> Vectors:
    return {level: np.ascontiguousarray(rows[i : i + 1]) for level, rows in vectors.items()}


def _distinct(lists: Any) -> list[str]:
    return list(dict.fromkeys(word for words in lists for word in words))
