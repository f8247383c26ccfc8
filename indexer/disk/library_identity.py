"""What tells one library from another: a name that it keeps wherever its folder goes."""

from __future__ import annotations

import platform
import uuid
from pathlib import Path

from indexer.disk.durable_files import replace_file
from indexer.disk.writer_lock import writer_lock

IDENTITY_FILE = "identity"


def identity_of(library: Path) -> str | None:
    """The identity of a library; None if it has none yet, as one that an earlier version made."""
    try:
        return (library / IDENTITY_FILE).read_text(encoding="ascii", errors="replace").removesuffix("\n")
    except FileNotFoundError:
        return None


def set_identity(library: Path, identity: str | None = None) -> str:
    """Write the identity of a library, by default a new one, and return it. The caller holds the writer's lock."""
    identity = identity or uuid.uuid4().hex
    replace_file(library / IDENTITY_FILE, f"{identity}\n".encode())
    return identity


def ensure_identity(library: Path) -> str:
    """The identity of a library, given to it if it has none. Raises LibraryError if it cannot be written."""
    known = identity_of(library)
    if known is None:
        with writer_lock(library, wait=True):
            known = identity_of(library) or set_identity(library)
    return known


def place_of(library: Path) -> str:
    """Where a library is, as MACHINE:FOLDER, for servers that hold a part of it."""
    return f"{platform.node()}:{library.resolve()}"


def original_of(library: Path, identity: str, place: str | None) -> Path | None:
    """The folder of which `library` is a copy: another one at `place` of this machine that still is the library."""
    machine, _, folder = (place or "").partition(":")
    original = Path(folder)
    same = machine == platform.node() and identity_of(original) == identity
    return original if same and not original.samefile(library) else None
