"""Files that survive a crash: written next to their place, flushed to disk, renamed into it.

And what a full disk or a folder that is closed to writing makes of them: one LibraryError.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from quartet.errors import LibraryError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(library: Path) -> Iterator[None]:
    """Around everything that writes to a library.

    Raises LibraryError, in place of what the system and SQLite raise, if there is no room or no right to write, or if
    the catalogue turns out to be damaged.
    """
    from sqlalchemy.exc import DatabaseError, OperationalError

    try:
        yield
    except OperationalError as error:
        if not isinstance(error.orig, sqlite3.Error):
            reason = " ".join(str(error.orig).split())
            raise LibraryError(
                f"The catalogue of the library {library} does not answer: {reason} Finished work is saved. "
                "Start the database server and run the same command again."
            ) from error
        raise LibraryError(_cannot_be_written(library, str(error.orig), "readonly" in str(error.orig))) from error
    except DatabaseError as error:
        # Its subclasses are mistakes of ours.
        if type(error) is not DatabaseError:
            raise
        raise LibraryError(
            f"The catalogue of the library {library} is damaged ({error.orig}). Restore it from a backup, or index the "
            "videos into a new library."
        ) from error
    except OSError as error:
        if error.errno not in _FULL | _CLOSED or _lies_elsewhere(error, library):
            raise
        raise LibraryError(_cannot_be_written(library, str(error.strerror), error.errno in _CLOSED)) from error


def _lies_elsewhere(error: OSError, library: Path) -> bool:
    """Whether it is about a file that the library does not own: a video, say."""
    name = error.filename
    return isinstance(name, str) and not Path(name).resolve().is_relative_to(library.resolve())


def _cannot_be_written(library: Path, reason: str, closed: bool) -> str:
    way_out = "Change its permissions" if closed else "Free space on its disk"
    return (
        f"The library {library} cannot be written ({reason}). Its content is safe. {way_out} and run the same "
        "command again."
    )


def sync_folder(folder: Path) -> None:
    """Flush the entries of `folder`, so that a rename inside it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder` itself.

    A file with a second name was flushed under that one: in a large library that spares a thousand flushes.
    """
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        elif path.stat().st_nlink == 1:
            _sync_file(path)
    sync_folder(folder)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that any reader, now or after a crash, sees the old or the new content."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def replace_by_copy(path: Path, source: Path) -> None:
    """As `replace_file`, with what another file has."""
    temporary = path.with_name(f".{path.name}.tmp")
    with source.open("rb") as read, temporary.open("wb") as file:
        shutil.copyfileobj(read, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """As `replace_file` for many files at once, with one flush of each folder. Folders are made as needed."""
    folders = {path.parent for path in contents}
    for folder in folders:
        _make_folder(folder)
    temporary = {path: path.with_name(f".{path.name}.tmp") for path in contents}
    for path, content in contents.items():
        temporary[path].write_bytes(content)
    # Flushed together: the first flush takes most of the others' bytes along.
    for path in contents:
        _sync_file(temporary[path])
        temporary[path].replace(path)
    for folder in folders:
        sync_folder(folder)


def _make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, so that they survive a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(index: Any, path: Path) -> None:
    """Write a FAISS index. FAISS by itself overlooks what fails when a file is closed, as it does on a full disk."""
    import faiss

    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]


def write_array(array: np.ndarray, path: Path) -> None:
    """Write a .npy file. `numpy.save` overlooks the same failures."""
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getbuffer())
