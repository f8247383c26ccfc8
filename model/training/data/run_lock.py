"""One run at a time in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.training.distributed import is_first_process
from quartet.errors import InputError


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder` for as long as the context lasts.

    The lock is the kernel's, so a run that dies lets go of it. Of several processes that train together the first one
    has it. Raises InputError if another run has it.
    """
    if not is_first_process():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"Another run is writing to {folder}. Wait for it, or choose another --out.") from None
        yield
