"""Publishing while a long run goes on, so that what is complete can be searched and no failure costs days."""

from __future__ import annotations

import time
from collections.abc import Callable

PUBLISH_EVERY = 10.0
"""Minutes between two generations of a run, by default."""

_INTERVAL_FACTOR = 20.0
"""A generation is written no sooner than after so many times what the last one took: at most a twentieth of a run."""


class PublishTimer:
    """Calls `publish` when `every` seconds have passed since the last time; 0: never."""

    def __init__(
        self, every: float, publish: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._publish = publish
        self._clock = clock
        self._due = clock() + every

    def look(self) -> None:
        """To be called when a file is complete."""
        began = self._clock()
        if self._every and began >= self._due:
            self._publish()
            ended = self._clock()
            self._due = ended + max(self._every, _INTERVAL_FACTOR * (ended - began))
