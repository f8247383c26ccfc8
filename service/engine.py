"""A request from query to answer: encode, search, hydrate.

The engine holds one library and one encoder. It asks the library for the live generation at every request
and keeps that one to the end, so an index can be swapped while requests run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from indexer.filters import ClipFilter
from indexer.generation import Generation
from indexer.library import Library
from indexer.search import Hit, SearchResult, search
from indexer.untrusted import decode_untrusted
from model.encoder import Encoder, EncoderSpec
from model.errors import FingerprintError, LibraryError, NotFoundError
from model.levels import Vectors, resolve_weights
from model.parse import Attributes
from service import schemas
from service.encoding import AsyncEncoder, EncodedClip
from service.settings import Settings


class Engine:
    """See the module. Raises FingerprintError when the encoder is not the one that built the library."""

    def __init__(self, library: Library, encoder: Encoder, settings: Settings) -> None:
        library.check_encoder(encoder.spec)
        self.library = library
        self._encoder = AsyncEncoder(
            encoder,
            max_batch=settings.batch_size,
            max_waiting=settings.queue_size,
            retry_after=settings.retry_after,
        )

    @classmethod
    def open(cls, settings: Settings, encoder: Encoder | None = None) -> Self:
        """Open the library of `settings`; without an `encoder`, load the model of `settings` too.

        Raises LibraryError, ModelError or FingerprintError.
        """
        if settings.library is None:
            raise LibraryError("No library was named. Set QUARTET_LIBRARY or pass --library.")
        with ExitStack() as on_failure:
            from model.registry import resolve_device

            # What a GPU scans lies in its memory, on the device that encodes.
            device = "cpu" if settings.device == "cpu" else resolve_device(settings.device)
            library = on_failure.enter_context(Library.open(settings.library, device, settings.roots))
            if encoder is None:
                from service.models import open_encoder

                encoder = open_encoder(settings)
            engine = cls(library, encoder, settings)
            on_failure.pop_all()
        return engine

    @property
    def spec(self) -> EncoderSpec:
        return self._encoder.spec

    @property
    def device(self) -> str:
        return self._encoder.device

    @property
    def alive(self) -> bool:
        """Whether requests can be answered: False when the encoder's worker has stopped."""
        return self._encoder.alive

    def close(self) -> None:
        """Stop the encoder's worker and close the library. Idempotent."""
        self._encoder.close()
        self.library.close()

    def generation(self) -> Generation:
        """The live generation. Raises FingerprintError if another model has built it since the start.

        It opens a generation that is new, which takes a moment: not for the event loop.
        """
        generation = self.library.current()
        built_by = generation.manifest.model.fingerprint
        if built_by != self.spec.fingerprint:
            raise FingerprintError(built_by, self.spec.fingerprint)
        return generation

    async def search_clips(
        self, query: str, k: int, weights: Mapping[str, float], wanted: ClipFilter | None = None
    ) -> schemas.ClipAnswer:
        """Text to video, among the clips that `wanted` keeps. Raises InputError, BusyError, ModelError."""
        generation = await asyncio.to_thread(self.generation)
        resolved = resolve_weights(self.spec.levels, weights)
        watch = _Stopwatch()
        encoded = await self._encoder.text(query)
        watch.lap("encode")
        allowed = None if wanted is None else await asyncio.to_thread(self.library.select_clips, wanted)
        result = await asyncio.to_thread(
            search, generation.clips, self.spec.levels, encoded.query, k, resolved, allowed
        )
        watch.lap("search")
        ids = [hit.id for hit in result.hits]
        clips = await asyncio.to_thread(self.library.catalog.clips, ids)
        matched = await self._encoder.concepts(generation.clips.vectors(ids), [encoded.attributes] * len(ids))
        hits = [
            schemas.ClipHit(
                clip_id=hit.id,
                video_id=clip.video_id,
                title=clip.title,
                start=clip.start,
                end=clip.end,
                thumbnail_url=thumbnail_url(hit.id),
                strip_url=strip_url(hit.id),
                media_url=media_url(hit.id),
                **_scored(hit, shown),
            )
            for hit, shown in zip(result.hits, matched, strict=True)
            # The catalog is live and the generation is not: a clip that was removed since is not shown.
            if (clip := clips.get(hit.id)) is not None
        ]
        watch.lap("hydrate")
        return schemas.ClipAnswer(
            query=query,
            query_attributes=attributes_json(encoded.attributes),
            hits=hits,
            **self._provenance(generation, result, watch, resolved),
        )

    async def describe_clip(self, clip_id: int, k: int, weights: Mapping[str, float]) -> schemas.CaptionAnswer:
        """Video to text, for a stored clip. Raises NotFoundError, InputError, BusyError, ModelError."""
        generation = await asyncio.to_thread(self.generation)
        resolved = resolve_weights(self.spec.levels, weights)
        watch = _Stopwatch()
        if not np.any(generation.clips.ids == clip_id):
            raise NotFoundError(f"There is no clip {clip_id} in this library.")
        encoded = await self._encoder.stored_clip(generation.clips.vectors([clip_id]))
        watch.lap("encode")
        return await self._rank_captions(generation, encoded, k, resolved, watch)

    async def describe_file(self, path: Path, k: int, weights: Mapping[str, float]) -> schemas.CaptionAnswer:
        """Video to text, for a file. Raises VideoError, InputError, BusyError, ModelError."""
        generation = await asyncio.to_thread(self.generation)
        resolved = resolve_weights(self.spec.levels, weights)
        watch = _Stopwatch()
        sampled = await asyncio.to_thread(decode_untrusted, path, self.spec.frames_per_clip)
        encoded = await self._encoder.clip(sampled.frames)
        watch.lap("encode")
        return await self._rank_captions(generation, encoded, k, resolved, watch)

    async def _rank_captions(
        self, generation: Generation, clip: EncodedClip, k: int, weights: dict[str, float], watch: _Stopwatch
    ) -> schemas.CaptionAnswer:
        result = await asyncio.to_thread(search, generation.captions, self.spec.levels, clip.query, k, weights)
        watch.lap("search")
        captions = await asyncio.to_thread(self.library.catalog.captions, [hit.id for hit in result.hits])
        known = [(hit, captions[hit.id]) for hit in result.hits if hit.id in captions]
        said = await self._encoder.attributes([caption.text for _, caption in known])
        shown = await self._encoder.concepts(_repeat(clip.gallery, len(known)), said)
        hits = [
            schemas.CaptionHit(
                caption_id=hit.id,
                text=caption.text,
                source=caption.source,
                clip_id=caption.clip_id,
                **_scored(hit, matched),
            )
            for (hit, caption), matched in zip(known, shown, strict=True)
        ]
        watch.lap("hydrate")
        return schemas.CaptionAnswer(hits=hits, **self._provenance(generation, result, watch, weights))

    def _provenance(
        self, generation: Generation, result: SearchResult, watch: _Stopwatch, weights: dict[str, float]
    ) -> dict[str, Any]:
        return {
            "generation": generation.name,
            "exact": result.exact,
            "took_ms": schemas.Took(**watch.laps),
            "model_fingerprint": self.spec.fingerprint,
            "weights": weights,
        }


class _Stopwatch:
    """Milliseconds by stage, in `laps`."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round(1000 * (now - self._last), 3)
        self._last = now


def thumbnail_url(clip_id: int) -> str:
    return f"/v1/clips/{clip_id}/thumbnail"


def strip_url(clip_id: int) -> str:
    return f"/v1/clips/{clip_id}/strip"


def media_url(clip_id: int) -> str:
    return f"/v1/clips/{clip_id}/media"


def attributes_json(found: Attributes) -> schemas.Attributes:
    return schemas.Attributes(entities=found.entity, actions=found.action, relations=found.relation)


def _scored(hit: Hit, matched: Attributes) -> dict[str, Any]:
    levels = {
        name: schemas.LevelScore(
            raw=level.raw, activation=level.activation, weight=level.weight, contribution=level.contribution
        )
        for name, level in hit.levels.items()
    }
    return {"score": hit.score, "levels": levels, "matched": attributes_json(matched)}


def _repeat(vectors: Vectors, n: int) -> Vectors:
    return {level: np.repeat(row, n, axis=0) for level, row in vectors.items()}
