"""A process that has loaded what it will keep, and from then on answers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 20_000
"""So many come between two searches among what is new. A batch of answers makes thousands: with Python's 700 the
searches took a tenth of its time."""


@contextmanager
def startup_objects_frozen() -> Iterator[None]:
    """Meanwhile all that is in memory now is left out of the search for cyclic garbage, which never finds any there.

    PyTorch, spaCy and a model are some 600,000 objects. Every thousand queries or so, all threads would wait a third
    of a second while they are gone through.
    """
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        # Libraries complain at the end of a process about what has not been collected.
        gc.unfreeze()
