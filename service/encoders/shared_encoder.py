"""One encoder in this process, shared by several worker threads: who has to wait for whom.

A `StagedEncoder` has parser and tokenizer, which one thread uses at a time, apart from its networks, which any
number may run: while one worker parses, another encodes. Any other encoder is used by one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from model.encoder import Encoder, EncoderSpec, Frames, StagedEncoder, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import WORDS, Vectors, without_frames


class SharedEncoder:
    """See the module. Its methods are those of `Encoder`, for any thread at any time.

    identity  with the model's fingerprint it tells its vectors from those of any other encoder; "": not known
    """

    def __init__(self, encoder: Encoder) -> None:
        self.identity = ""
        self._encoder = encoder
        self._staged = encoder if isinstance(encoder, StagedEncoder) else None
        self._parsing = threading.Lock()
        self._networks: AbstractContextManager[object] = nullcontext() if self._staged else self._parsing
        # Decoded clips are large: one at a time bounds their memory.
        self._clips = threading.Lock() if self._staged else self._parsing

    @property
    def spec(self) -> EncoderSpec:
        return self._encoder.spec

    @property
    def device(self) -> str:
        return self._encoder.device

    def encode_queries(self, texts: Sequence[str]) -> TextBatch:
        """Query vectors of texts for an index of clips, and the attributes of the texts."""
        if self._staged is None:
            with self._parsing:
                return as_queries(self._encoder, self._encoder.encode_texts(texts))
        with self._parsing:
            parses, tokens = self._staged.parse(texts), self._staged.tokenize(texts)
        return as_queries(self._encoder, self._staged.finish(parses, self._staged.forward(tokens)))

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        """Of the levels alone: nothing is searched with the vectors of frames."""
        with self._clips:
            return without_frames(self._encoder.encode_clips(clips))

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        with self._parsing:
            return self._encoder.attributes(texts)

    def clip_queries(self, vectors: Vectors) -> Vectors:
        with self._networks:
            return self._encoder.clip_queries(vectors)

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        if not candidates:
            return []
        with self._networks:
            return self._encoder.concepts(vectors, candidates)

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        with self._networks:
            return self._encoder.unknown(candidates)


def as_queries(encoder: Encoder, texts: TextBatch) -> TextBatch:
    """Encoded texts with query vectors in place of gallery vectors. A text without a relation lacks that level.

    Networks make something of any words, but "red ball" says nothing of who does what to whom. The row of `words`
    compares a text with other texts.
    """
    vectors = {**encoder.text_queries(texts.vectors), WORDS: texts.vectors[encoder.spec.levels[0].name]}
    if "relation" in vectors:
        related = np.array([[bool(one.relation)] for one in texts.attributes])
        vectors["relation"] = np.where(related, vectors["relation"], np.float32(0))
    return replace(texts, vectors=vectors)
