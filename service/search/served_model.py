"""One model and all that answers questions with it, over the newest generation that it has made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from indexer.search.remote_gallery import AnyGallery
from indexer.search.top_k import search
from indexer.store.generation import KINDS
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from model.encoder import Encoder, EncoderSpec
from quartet.errors import FingerprintError
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder
from service.search.batch_answers import BatchAnswerer
from service.search.clip_answers import ClipAnswerer
from service.search.upload_vectors import UploadedVectors

LOG = logging.getLogger(__name__)

AnyEncoder = Encoder | EncoderProcesses | SharedEncoder
"""An encoder of one user, or one that several may use."""


class ServedModel:
    """See the module. Whoever asks it something holds it from `hold` to `release`: until then it is not closed.

    kept       how many encoded sentences are kept
    address    what the paths of the library begin with, for the addresses in answers
    restarted  called when a process of the encoder has been replaced
    Raises FingerprintError if another model has made `generation`; the encoder is then still the caller's.
    """

    def __init__(
        self,
        library: Library,
        encoder: AnyEncoder,
        generation: ServedGeneration,
        kept: int,
        address: str,
        restarted: Callable[[], None],
    ) -> None:
        if generation.model.fingerprint != encoder.spec.fingerprint:
            raise FingerprintError(generation.model.fingerprint, encoder.spec.fingerprint)
        self.encoder = encoder if isinstance(encoder, EncoderProcesses | SharedEncoder) else SharedEncoder(encoder)
        self._restarted = restarted
        if isinstance(self.encoder, EncoderProcesses):
            self.encoder.restarted.add(restarted)
        self.clips = ClipAnswerer(library, self.encoder, self.current, kept, address)
        self.rest = BatchAnswerer(library, self.encoder, self.current, kept, address)
        self.uploads = UploadedVectors()
        self._holders = 0
        self._retired = self._closed = False
        self._holding = threading.Lock()
        self._generation = generation
        self.adopt(generation)

    @property
    def spec(self) -> EncoderSpec:
        return self.encoder.spec

    def current(self) -> ServedGeneration:
        """The generation to answer from. A request asks once and keeps it."""
        return self._generation

    @property
    def age(self) -> float:
        """Seconds since the current generation was taken up."""
        return time.monotonic() - self._since

    def adopt(self, generation: ServedGeneration, before: Callable[[ServedGeneration], object] | None = None) -> None:
        """Get a generation of this model ready and let it answer. Until then the previous one does."""
        for kind in KINDS:
            _warm(generation.gallery(kind))
        if before is not None:
            before(generation)
        self._generation = generation
        self._since = time.monotonic()
        LOG.info("Generation %s is live.", generation.name)

    def hold(self) -> bool:
        """Whether it may be asked: False if it is closed, since another model answers."""
        with self._holding:
            self._holders += not self._closed
            return not self._closed

    def release(self) -> None:
        with self._holding:
            self._holders -= 1
        self._close_unheld()

    def retire(self) -> None:
        """Another model answers from then on: close when nobody holds it any more."""
        self._retired = True
        self._close_unheld()

    def close(self) -> None:
        """Leave its processes, if it has any. Idempotent."""
        with self._holding:
            closing, self._closed = not self._closed, True
        if closing:
            self._close_encoder()

    def _close_unheld(self) -> None:
        with self._holding:
            closing = self._retired and not self._holders and not self._closed
            self._closed |= closing
        if closing:
            self._close_encoder()

    def _close_encoder(self) -> None:
        if isinstance(self.encoder, EncoderProcesses):
            self.encoder.restarted.discard(self._restarted)
            self.encoder.close()


def _warm(gallery: AnyGallery) -> None:
    """Search once, so that what is read or made at the first search is there before somebody waits for it."""
    if len(gallery):
        query = {spec.name: np.full((1, spec.dim), spec.dim**-0.5, np.float32) for spec in gallery.levels}
        weights = {spec.name: spec.weight or 1.0 for spec in gallery.levels}
        search(gallery, gallery.levels, query, 1, weights)


class Asked(NamedTuple):
    """What a model is asked, as the payload of a job."""

    model: ServedModel
    payload: Any


def by_model(answer: Callable[[ServedModel, Sequence[Any]], Sequence[Any]]) -> Callable[[Sequence[Asked]], list[Any]]:
    """Answers batches of `Asked`, each by its model: while the library switches, a batch may have two."""

    def answered(asked: Sequence[Asked]) -> list[Any]:
        return [
            result
            for model, own in groupby(asked, key=lambda one: one.model)
            for result in answer(model, [one.payload for one in own])
        ]

    return answered
