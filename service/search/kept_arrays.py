"""What was learned by encoding texts, kept on disk: the next start encodes none of them.

A file is named after all that its content depends on. One that is damaged or cannot be read counts as missing, and
where none can be written everything is learned at every start.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quartet import __version__
from service.encoders.encoder_processes import EncoderProcesses
from service.encoders.shared_encoder import SharedEncoder

LOG = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_FORMAT = 1
"""Another number for everything that is learned in another way within one version of Quartet."""

_NAME = "name"
"""The array that repeats the name of its file."""

_MAX_FILES = 24
"""Files on disk, 1 MB each: the one that has not been read for longest goes first."""


def learned_folder() -> Path:
    """Where the files are."""
    return Path.home() / ".cache" / "quartet" / "learned"


def kept_or_made(encoder: SharedEncoder | EncoderProcesses, depends_on: object, make: Callable[[], Arrays]) -> Arrays:
    """What `make` gives, or what it gave when the encoder and all else that it depends on were the same.

    depends_on  as `repr` writes it; None: that is not known, so that nothing is kept. Nor is it for an encoder without
                an `identity`
    """
    if not encoder.identity or depends_on is None:
        return make()
    model = encoder.identity, encoder.spec.fingerprint, encoder.spec.levels
    name = hashlib.sha256(repr((_FORMAT, __version__, model, depends_on)).encode()).hexdigest()[:32]
    try:
        path = learned_folder() / f"{name}.npz"
    except RuntimeError:  # a system that knows no home
        return make()
    found = _read(path)
    if found is None:
        found = make()
        with suppress(OSError):  # a folder that only others may write, or a full disk
            _write(path, found)
    return found


def _read(path: Path) -> Arrays | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = dict(arrays.items())
        if found.pop(_NAME) != path.stem:
            raise ValueError("it belongs to something else")
    except FileNotFoundError:
        return None
    # Whatever is wrong with it: it can be learned again.
    except Exception as error:
        LOG.warning("%s cannot be used, and is learned again: %s", path, error)
        return None
    with suppress(OSError):
        os.utime(path)
    return found


def _write(path: Path, arrays: Arrays) -> None:
    """A reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        np.savez(made, **{**arrays, _NAME: np.array(path.stem)})  # type: ignore[arg-type]
        made.replace(path)
    for old in sorted(path.parent.glob("*.npz"), key=lambda own: own.stat().st_mtime)[:-_MAX_FILES]:
        old.unlink(missing_ok=True)
