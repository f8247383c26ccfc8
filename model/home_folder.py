"""Paths that begin with `~`, on a system that need not know a home: in containers, users may have none."""

from __future__ import annotations

from pathlib import Path

from quartet.errors import InputError


def expand_home(path: Path, variable: str) -> Path:
    """`path` with the user's home in place of `~`.

    Raises InputError, naming the environment variable that sets `path`, if there is no HOME and the system does not
    know the user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise InputError(
            f"{path} is in the home folder, but HOME is not set. Set {variable} to a writable folder."
        ) from None
