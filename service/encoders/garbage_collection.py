"""A process that has loaded what it will keep, and from then on answers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def startup_objects_frozen() -> Iterator[None]:
    """Meanwhile all that is in memory now is left out of the search for cyclic garbage, which never finds any there.

    PyTorch, spaCy and a model are some 600,000 objects. Every thousand queries or so, all threads would wait a third
    of a second while they are gone through.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        # Libraries complain at the end of a process about what has not been collected.
        gc.unfreeze()
