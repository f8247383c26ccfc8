"""Files of this machine that a client sends and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from quartet import errors
from quartet.requests.request import Progress


def counted_files(files: Sequence[BinaryIO], progress: Progress) -> list[CountedFile]:
    """Files that call `progress` with the bytes that have been read of all of them, and with their size."""
    size = sum(Path(file.name).stat().st_size for file in files)
    counted: list[CountedFile] = []

    def read() -> None:
        progress(sum(file.tell() for file in counted), size)

    counted += [CountedFile(file, read) for file in files]
    return counted


class CountedFile:
    """A file that calls `progress` after each reading."""

    def __init__(self, file: BinaryIO, progress: Callable[[], None]) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress()
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def written_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is at `path` when all of it has been written. Raises InputError if it cannot be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise errors.InputError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def open_file(video: Path) -> BinaryIO:
    """The file, open for reading. Raises InputError if it cannot be read."""
    try:
        return video.open("rb")
    except OSError as error:
        raise errors.InputError(f"{video} cannot be read: {error.strerror}.") from error
