"""Whether a file is gone: not to be mistaken for one that may not be looked at."""

from __future__ import annotations

from pathlib import Path


def is_gone(path: Path) -> bool:
    """Whether nothing is at `path`.

    False where the system does not tell: a folder on the way is closed to this user, or its disk or network does not
    answer. (`Path.exists` raises some of these errors and takes others for an absence.)
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
