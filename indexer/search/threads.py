"""The threads on which one search divides its work."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def threads() -> ThreadPoolExecutor:
    """A pool that all searches share, one thread per core. Made once: a search must not wait for threads to start."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="search")


# A forked process has none of these threads.
os.register_at_fork(after_in_child=threads.cache_clear)
