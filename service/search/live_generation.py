"""The model and the generation that answer, and switching to newer ones without a request noticing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from indexer.store.library import Library
from indexer.store.served_generation import ServedGeneration
from quartet.errors import LibraryError
from service.search.served_model import ServedModel

LOG = logging.getLogger(__name__)

_PAUSE = 30.0
"""Seconds after which a model that could not be loaded is tried again."""


class LiveGeneration:
    """Looks every `every` seconds for a newer generation, opens and warms it, and only then lets it answer.

    Until then the previous one answers: nobody waits for files to be read. One of another model has that model loaded
    first, by `load`; `model` is then that. What cannot be opened or loaded is logged and counted in `failures`,
    `trouble` says why, and the previous one still answers. `changed` is called after every change.
    """

    def __init__(
        self,
        library: Library,
        model: ServedModel,
        load: Callable[[ServedGeneration], ServedModel],
        every: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self._library = library
        self._load = load
        self._changed = changed
        self._newest = model.current()
        self._refused: tuple[ServedGeneration, float, LibraryError] | None = None
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self.failures = 0
        self.trouble = ""
        self._thread = threading.Thread(target=self._watch, args=(every,), name="generations", daemon=True)
        self._thread.start()

    def current(self) -> ServedGeneration:
        """The generation that answers."""
        return self.model.current()

    def hold(self) -> ServedModel:
        """The model that answers, until it is released."""
        while not (model := self.model).hold():
            continue
        return model

    def refresh(self) -> bool:
        """Take up a newer generation now, if there is one; returns whether there is none that cannot be taken up."""
        with self._refreshing:
            try:
                newest = self._library.served()
                if newest is not self._newest:
                    self._take_up(newest)
            # Whatever it is: the previous one still answers, and the next look may go well.
            except Exception as error:
                self.failures += 1
                if str(error) != self.trouble:
                    self.trouble = str(error)
                    LOG.error("The newest generation cannot answer; the previous one still answers. %s", error)
                return False
            self.trouble = ""
            return True

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _take_up(self, newest: ServedGeneration) -> None:
        self._library.clip_table()  # what a filter reads, before somebody waits for it
        if newest.model.fingerprint == self.model.spec.fingerprint:
            self.model.adopt(newest, self.model.clips.fits.of)
        else:
            before, self.model = self.model, self._loaded(newest)
            LOG.info("The model %s now answers instead of %s.", self.model.spec.name, before.spec.name)
            before.retire()
        self._newest = newest
        self._changed()

    def _loaded(self, generation: ServedGeneration) -> ServedModel:
        """The model that has made a generation, ready to answer. Raises LibraryError."""
        if self._refused is not None and self._refused[0] is generation and time.monotonic() < self._refused[1]:
            raise self._refused[2]
        try:
            return self._load(generation)
        except Exception as error:
            refused = LibraryError(
                f"Generation {generation.name} was made by the model {generation.model.name!r}, which cannot be "
                f"loaded here: {error}"
            )
            self._refused = generation, time.monotonic() + _PAUSE, refused
            raise refused from error

    def _watch(self, every: float) -> None:
        while not self._stop.wait(every):
            self.refresh()
