"""The model of a library, loaded when something is first encoded: most runs over a known folder find nothing to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from model.encoder import Encoder, EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import Vectors
from quartet.errors import FingerprintError


class DeferredEncoder:
    """An `Encoder` that says at once which model it is and calls `load` at first use, in whatever thread that is.

    Its methods raise what `load` raises, and FingerprintError where that gives another model than `spec` says.
    """

    def __init__(self, spec: EncoderSpec, load: Callable[[], Encoder]) -> None:
        self.spec = spec
        self._load = load
        self._loading = threading.Lock()
        self._encoder: Encoder | None = None

    def _loaded(self) -> Encoder:
        with self._loading:
            if self._encoder is None:
                encoder = self._load()
                if encoder.spec.fingerprint != self.spec.fingerprint:
                    raise FingerprintError(self.spec.fingerprint, encoder.spec.fingerprint)
                self._encoder = encoder
            return self._encoder

    @property
    def device(self) -> str:
        return self._loaded().device

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return self._loaded().encode_clips(clips)

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        return self._loaded().encode_texts(texts)

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return self._loaded().attributes(texts)

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return self._loaded().unknown(candidates)

    def text_queries(self, vectors: Vectors) -> Vectors:
        return self._loaded().text_queries(vectors)

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return self._loaded().clip_queries(vectors)

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        return self._loaded().concepts(vectors, candidates)
