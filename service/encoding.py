"""The encoder as the request handlers see it: awaitable, batched, and called from one thread only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.encoder import Encoder, EncoderSpec, Frames
from model.levels import Vectors
from model.parse import Attributes
from service.batching import BatchWorker


@dataclass(frozen=True)
class EncodedText:
    """One text: its query vectors (one row per level) for an index of clips, and its attributes."""

    query: Vectors
    attributes: Attributes


@dataclass(frozen=True)
class EncodedClip:
    """One clip: its gallery vectors and its query vectors for an index of captions, one row per level."""

    gallery: Vectors
    query: Vectors


class AsyncEncoder:
    """See the module. The keyword arguments are those of `BatchWorker`.

    Every method raises BusyError when too much is waiting (`attributes` and `concepts`, which are later
    steps of a request, do not) and ModelError when the worker has stopped.
    """

    def __init__(self, encoder: Encoder, *, max_batch: int, max_waiting: int, retry_after: float) -> None:
        self._encoder = encoder
        self._worker = BatchWorker(
            {
                "texts": self._texts,
                "clips": self._clips,
                "stored": self._stored,
                "attributes": self._attributes,
                "concepts": self._concepts,
            },
            max_batch=max_batch,
            max_waiting=max_waiting,
            retry_after=retry_after,
        )

    @property
    def spec(self) -> EncoderSpec:
        return self._encoder.spec

    @property
    def device(self) -> str:
        return self._encoder.device

    @property
    def alive(self) -> bool:
        return self._worker.alive

    def close(self) -> None:
        self._worker.close()

    async def text(self, text: str) -> EncodedText:
        """Encode a query."""
        return await self._do("texts", text)

    async def clip(self, frames: Frames) -> EncodedClip:
        """Encode a clip that is not in the library, from its sampled frames (T, H, W, 3)."""
        return await self._do("clips", frames)

    async def stored_clip(self, gallery: Vectors) -> EncodedClip:
        """Make a query of the gallery vectors (one row per level) of a clip that is in the library."""
        return await self._do("stored", gallery)

    async def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        """What the parser reads off each text."""
        return await self._do("attributes", list(texts), admitted=True)

    async def concepts(self, gallery: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        """Which of `candidates[i]` row i of `gallery` shows."""
        if not candidates:
            return []
        return await self._do("concepts", (gallery, list(candidates)), admitted=True)

    async def _do(self, kind: str, payload: Any, *, admitted: bool = False) -> Any:
        return await asyncio.wrap_future(self._worker.submit(kind, payload, admitted=admitted))

    def _texts(self, texts: Sequence[str]) -> list[EncodedText]:
        batch = self._encoder.encode_texts(texts)
        queries = self._encoder.text_queries(batch.vectors)
        return [EncodedText(_row(queries, i), batch.attributes[i]) for i in range(len(texts))]

    def _clips(self, clips: Sequence[Frames]) -> list[EncodedClip]:
        gallery = self._encoder.encode_clips(clips)
        queries = self._encoder.clip_queries(gallery)
        return [EncodedClip(_row(gallery, i), _row(queries, i)) for i in range(len(clips))]

    def _stored(self, rows: Sequence[Vectors]) -> list[EncodedClip]:
        queries = self._encoder.clip_queries(_stack(rows))
        return [EncodedClip(gallery, _row(queries, i)) for i, gallery in enumerate(rows)]

    def _attributes(self, asked: Sequence[list[str]]) -> list[list[Attributes]]:
        found = iter(self._encoder.attributes([text for texts in asked for text in texts]))
        return [[next(found) for _ in texts] for texts in asked]

    def _concepts(self, asked: Sequence[tuple[Vectors, list[Attributes]]]) -> list[list[Attributes]]:
        candidates = [wanted for _, listed in asked for wanted in listed]
        found = iter(self._encoder.concepts(_stack([vectors for vectors, _ in asked]), candidates))
        return [[next(found) for _ in listed] for _, listed in asked]


def _row(vectors: Vectors, i: int) -> Vectors:
    return {level: rows[i : i + 1] for level, rows in vectors.items()}


def _stack(parts: Sequence[Vectors]) -> Vectors:
    return {level: np.concatenate([part[level] for part in parts]) for level in parts[0]}
