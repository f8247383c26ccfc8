"""What the workers do with a batch: encode, search the live generation, and say what there is to say of each hit.

Every function takes a batch of questions of one kind and returns an answer, or the error that it alone gets, for
each. A batch is answered from one generation, from its first search to its last look into the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from model.language.parsed_caption import Attributes, merge_attributes
from model.levels import Vectors
from quartet.errors import QuartetError
from quartet.schemas.search_answers import CaptionAnswer, SimilarAnswer
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.explanation.answer_json import Batch, Stopwatch, caption_hits, clip_hits
from service.search.explanation.matched_words import matched_by_hits
from service.search.ranking.batch_ranking import (
    RankQuery,
    as_cosines,
    contains,
    hits_of,
    ids_of,
    no_clip,
    rank_all,
    row,
    vectors_of,
)
from service.search.requests import ClipQuery, FramesQuery
from service.search.result_cache import ResultCache


class BatchAnswerer:
    """Everything but text to video (`clip_answers.py`). `read` keeps the attributes of captions; `live` gives the
    generation to answer from. `address`: see `ClipAnswerer`."""

    def __init__(
        self,
        library: Library,
        encoder: SharedEncoder | EncoderProcesses,
        live: Callable[[], ServedGeneration],
        kept: int,
        address: str,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._live = live
        self._address = address
        self.read: ResultCache[str, Attributes] = ResultCache(kept)

    def similar(self, asked: Sequence[ClipQuery]) -> list[SimilarAnswer | QuartetError]:
        """Video to video, for clips of the library."""

        def queries(known: Sequence[ClipQuery], vectors: Vectors) -> list[RankQuery]:
            return [RankQuery(row(vectors, i), one.wanted, frozenset((one.clip_id,))) for i, one in enumerate(known)]

        generation = self._live()
        watch = Stopwatch()
        known = [one for one in asked if contains(generation.clips, one.clip_id)]
        rows = queries(known, vectors_of(generation.clips, [one.clip_id for one in known]))
        watch.lap("encode")
        ranked = rank_all(self._library, generation.clips, as_cosines(self._encoder.spec.levels), rows)
        watch.lap("search")
        clips = self._library.catalog.clips(ids_of(ranked))
        attributes = [[self._caption_attributes(one.clip_id)] for one in known]
        shown = matched_by_hits(self._encoder, generation.clips, ranked, attributes)
        watch.lap("hydrate")
        batch = Batch(generation, self._encoder.spec, len(asked), watch)
        found = iter(
            own
            if isinstance(own, QuartetError)
            else SimilarAnswer(
                clip_id=one.clip_id,
                hits=clip_hits(own, clips, matched, self._address, sort=one.wanted.sort),
                **batch.provenance(one.wanted, own),
            )
            for one, own, matched in zip(known, ranked, shown, strict=True)
        )
        return [next(found) if one in known else no_clip(one.clip_id) for one in asked]

    def captions(self, asked: Sequence[ClipQuery]) -> list[CaptionAnswer | QuartetError]:
        """Video to text, for clips of the library."""
        generation = self._live()
        watch = Stopwatch()
        known = [one for one in asked if contains(generation.clips, one.clip_id)]
        vectors = vectors_of(generation.clips, [one.clip_id for one in known])
        batch = Batch(generation, self._encoder.spec, len(asked), watch)
        found = iter(self._describe(batch, vectors, known))
        return [next(found) if one in known else no_clip(one.clip_id) for one in asked]

    def frames(self, asked: Sequence[FramesQuery]) -> list[CaptionAnswer | QuartetError]:
        """Video to text, for clips that are not in the library."""
        generation = self._live()
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
        rows = [RankQuery(row(queries, i), one.wanted) for i, one in enumerate(asked)]
        ranked = rank_all(self._library, captions, self._encoder.spec.levels, rows)
        batch.watch.lap("search")
        texts = self._library.catalog.captions(ids_of(ranked))
        pairs = [(i, hit.id) for i, own in enumerate(ranked) for hit in hits_of(own) if hit.id in texts]
        attributes = self.read.get([texts[caption].text for _, caption in pairs], self._encoder.attributes)
        own_clip = {level: array[[i for i, _ in pairs]] for level, array in vectors.items()}
        concepts = iter(self._encoder.concepts(own_clip, attributes))
        shown = [{hit.id: next(concepts) for hit in hits_of(own) if hit.id in texts} for own in ranked]
        batch.watch.lap("hydrate")
        return [
            own
            if isinstance(own, QuartetError)
            else CaptionAnswer(hits=caption_hits(own, texts, matched), **batch.provenance(one.wanted, own))
            for one, own, matched in zip(asked, ranked, shown, strict=True)
        ]

    def _caption_attributes(self, clip_id: int) -> Attributes:
        """The attributes of all captions of a clip."""
        texts = [caption.text for caption in self._library.catalog.captions_of(clip_id)]
        attributes = self.read.get(texts, self._encoder.attributes)
        return merge_attributes(attributes)
