"""Child processes that a fork server makes: one process of one thread, which has imported what its children need."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

LOG = logging.getLogger(__name__)


def start_process(
    target: Callable[..., None], arguments: Sequence[Any], name: str, libraries: Sequence[str]
) -> BaseProcess:
    """Start `target(*arguments)`, which can be pickled, in a daemon process that shares the memory of imports.

    libraries  modules that the server imports, if this call is the first: one server makes all processes

    A child of a running server begins in 0.01 s, a new interpreter takes 0.2 s of a processor and as long again as
    its imports. This process itself is never forked: a fork would copy the locks that its threads hold. Where there
    can be no server, a new interpreter starts. Only Linux has one: elsewhere not all libraries may be forked.
    """
    with _deaf_to_interrupts():
        if sys.platform == "linux":
            forking = multiprocessing.get_context("forkserver")
            forking.set_forkserver_preload(list(libraries))
            forked = forking.Process(target=target, args=arguments, name=name, daemon=True)
            try:
                forked.start()
                return forked
            except OSError as error:
                _warn(str(error))
        spawned = multiprocessing.get_context("spawn").Process(target=target, args=arguments, name=name, daemon=True)
        spawned.start()
        return spawned


def start_server(libraries: Sequence[str]) -> None:
    """Start the server now, so that it imports these libraries while this process does other things.

    Does nothing where it runs, or cannot run: `start_process` says so.
    """
    if sys.platform == "linux":
        with _deaf_to_interrupts(), suppress(OSError):
            multiprocessing.get_context("forkserver").set_forkserver_preload(list(libraries))
            forkserver.ensure_running()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C reaches the whole group, but what it means is for the parent to decide: what starts here never sees it."""
    # If no tracker runs yet, starting a process starts it, and that unblocks SIGINT.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@cache
def _warn(error: str) -> None:
    LOG.warning(
        "Child processes share no memory and start slowly. Their server needs a writable TMPDIR with a short name: %s",
        error,
    )
