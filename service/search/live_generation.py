"""The generation that answers, and changing over to a newer one without a request noticing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from indexer.search.remote_gallery import AnyGallery
from indexer.search.top_k import search
from indexer.store.generation import KINDS
from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from model.encoder import EncoderSpec
from quartet.errors import FingerprintError

LOG = logging.getLogger(__name__)


class LiveGeneration:
    """Looks every `every` seconds for a newer generation, opens and warms it, and only then lets it answer.

    Until then the one before answers: nobody waits for files to be read. `before` is called with a generation before it
    answers. One that cannot be opened is logged and counted in `failures`, `trouble` says why, and the one before goes
    on answering; one that another model has built cannot be searched with ours, so from then on `current` raises
    FingerprintError.
    """

    def __init__(
        self, library: Library, spec: EncoderSpec, every: float, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._library = library
        self._spec = spec
        self._changed = changed
        self.before: Callable[[ServedGeneration], object] = lambda generation: None
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._refused: FingerprintError | None = None
        self.failures = 0
        self.trouble = ""
        self._adopt(library.served())
        self._thread = threading.Thread(target=self._watch, args=(every,), name="generations", daemon=True)
        self._thread.start()

    def current(self) -> ServedGeneration:
        """The generation to answer from. A request asks once and keeps it. Raises FingerprintError."""
        if self._refused is not None:
            raise self._refused
        return self._generation

    @property
    def age(self) -> float:
        """Seconds since the current generation was taken up."""
        return time.monotonic() - self._since

    def refresh(self) -> None:
        """Take up a newer generation now, if there is one. Raises LibraryError if it cannot be opened."""
        with self._refreshing:
            newest = self._library.served()
            if newest is not self._generation:
                self._adopt(newest)
                self._changed()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _adopt(self, generation: ServedGeneration) -> None:
        built_by = generation.model.fingerprint
        if built_by != self._spec.fingerprint:
            self._refused = FingerprintError(built_by, self._spec.fingerprint)
            LOG.error("Generation %s cannot be searched. %s", generation.name, self._refused)
        else:
            for kind in KINDS:
                _warm(generation.gallery(kind))
            self._library.clip_table()  # what a filter reads
            self.before(generation)
            self._refused = None
            LOG.info("Generation %s answers from now on.", generation.name)
        self._generation = generation
        self._since = time.monotonic()

    def _watch(self, every: float) -> None:
        while not self._stop.wait(every):
            try:
                self.refresh()
                self.trouble = ""
            # Whatever it is: the one before goes on answering, and the next look may go well.
            except Exception as error:
                self.failures += 1
                if str(error) != self.trouble:
                    self.trouble = str(error)
                    LOG.error("The newest generation cannot be opened; the one before goes on answering. %s", error)


def _warm(gallery: AnyGallery) -> None:
    """Search once, so that what is read or made at the first search is there before somebody waits for it."""
    if len(gallery):
        query = {spec.name: np.full((1, spec.dim), spec.dim**-0.5, np.float32) for spec in gallery.levels}
        weights = {spec.name: spec.weight or 1.0 for spec in gallery.levels}
        search(gallery, gallery.levels, query, 1, weights)
