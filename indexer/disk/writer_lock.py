"""One writer per library at a time.

The lock is the kernel's (`flock` on LIBRARY/.lock), so a holder that dies, however it dies, lets go of it.
The file's content, the holder's process id, only serves the message to the second writer.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quartet.errors import LibraryError, LibraryInUseError

_LOCK_TIMEOUT = 0.3
"""Seconds to wait for a writer that is about to finish, such as a service that notes a saved search."""


@contextmanager
def writer_lock(library: Path, wait: bool = False) -> Iterator[None]:
    """Hold the right to write to `library`, `wait` for it if another process does.

    Raises LibraryInUseError naming the process that holds it, LibraryError if the folder cannot be written.
    """
    path = library / ".lock"
    if library.is_dir() and not os.access(library, os.W_OK | os.X_OK):
        raise LibraryError(f"The library {library} cannot be written: its folder is read-only. Change its permissions.")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LibraryError(f"The library {library} cannot be written: {error.strerror}.") from error
    try:
        try:
            _lock(handle, wait)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise LibraryInUseError(
                f"Process {holder} is writing the library {library}. Wait until it has finished, or stop it, "
                "and try again."
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def _lock(handle: int, wait: bool) -> None:
    """Raises BlockingIOError."""
    if wait:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    until = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(_LOCK_TIMEOUT / 10)
        else:
            return
