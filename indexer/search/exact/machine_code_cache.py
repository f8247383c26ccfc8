"""Where Numba keeps the machine code of a kernel from one process to the next.

Numba compares the time stamp of the one file that holds the cached function, and would go on with old code after a
change of another. So the folder is named after the content of all of them. It also tells processors apart by itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba

_CONFIG: Any = numba.config  # Numba fills it from the environment


def keep_machine_code(sources: Sequence[str], folder: Path | None = None) -> bool:
    """Tell Numba where to keep the code made of the files `sources`; whether it can be kept at all.

    folder  for all kernels; by default below the user's cache. A place that NUMBA_CACHE_DIR names stands.
    """
    if _CONFIG.CACHE_DIR:
        return True
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()[:16]
    try:
        place = (folder or Path.home() / ".cache" / "quartet" / "machine-code") / digest
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a home that cannot be written, or none
        return False
    if not os.access(place, os.W_OK):
        return False
    _CONFIG.CACHE_DIR = str(place)
    return True
