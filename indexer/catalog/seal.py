"""A checksum that a SQLite file carries in itself: with it any byte that has changed since is noticed.

It is the CRC-32 of the whole file, in the number that SQLite leaves to the application (`PRAGMA user_version`). The
bytes that change when that number is written are left out. 0 stands for a file that somebody writes, or wrote when he
was killed.
https://www.sqlite.org/fileformat2.html#the_database_header

SQLite gives the content of a database in one piece of memory, of at most 2 GiB, and slowly. The file of a large one
is read by a process of its own: whoever opens and closes a file takes the locks away that SQLite has on it in the same
process.
https://www.sqlite.org/howtocorrupt.html
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

_COUNTER, _USER_VERSION, _COUNTER_AGAIN = slice(24, 28), slice(60, 64), slice(92, 96)
"""Places in the header: SQLite counts changes in the first and copies the number to the third."""

_HEADER = 100

_MIN_BYTES_READ = 1 << 25
"""Bytes of a database from which its file is read."""

_BLOCK = 1 << 22


def seal(connection: sqlite3.Connection) -> None:
    """Give a database its checksum. Nobody else writes to it meanwhile.

    A large one (`is_large`) whose log cannot be copied to the file, since somebody reads it, stays without.
    """
    found = _checksum(connection)
    if found is not None:
        _set(connection, found[0])


def unseal(connection: sqlite3.Connection) -> None:
    """Take the checksum away, before anything else is written."""
    _set(connection, 0)


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether the content of a database is not what was sealed. One without a seal is not damaged.

    Nor is a large one whose log cannot be copied to the file: it cannot be compared.
    """
    (sealed,) = connection.execute("PRAGMA user_version").fetchone()
    if sealed == 0:
        return False
    found = _checksum(connection)
    if found is None or found == (sealed, True):
        return False
    # Somebody may have begun to write meanwhile.
    return bool(connection.execute("PRAGMA user_version").fetchone() == (sealed,))


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether a database has a checksum and its content is what was sealed."""
    (sealed,) = connection.execute("PRAGMA user_version").fetchone()
    return sealed != 0 and not is_damaged(connection)


def is_large(connection: sqlite3.Connection) -> bool:
    """Whether its file is read, in which changes must then be: none that are not committed or only in the log."""
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return bool(pages * size >= _MIN_BYTES_READ)


def _checksum(connection: sqlite3.Connection) -> tuple[int, bool] | None:
    """The checksum as a signed number of 32 bits, never 0, and whether the header agrees with itself."""
    if not is_large(connection):
        content = connection.serialize()
        header, checksum = content[:_HEADER], zlib.crc32(memoryview(content)[_HEADER:], _of_header(content))
    else:
        file = Path(connection.execute("PRAGMA database_list").fetchone()[2])
        if not _has_all(connection, file.with_name(f"{file.name}-wal")):
            return None
        read = subprocess.run([sys.executable, "-I", __file__, str(file)], stdout=subprocess.PIPE, check=True).stdout
        header, checksum = read[:_HEADER], int(read[_HEADER:])
    checksum = checksum or 1
    return checksum - 2**32 if checksum >= 2**31 else checksum, header[_COUNTER] == header[_COUNTER_AGAIN]


def _has_all(connection: sqlite3.Connection, log: Path) -> bool:
    """Whether all that a log has is in the file too."""
    if not log.exists() or not log.stat().st_size:
        return True
    try:
        _, there, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.OperationalError:
        return False  # it may not be written, or a transaction is under way
    return bool(there == copied)


def _of_header(content: bytes) -> int:
    header = bytearray(content[:_HEADER])
    for part in (_COUNTER, _USER_VERSION, _COUNTER_AGAIN):
        header[part] = bytes(4)
    return zlib.crc32(header)


def _set(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(f"PRAGMA user_version = {number}")


def _read(path: str) -> None:
    """What the other process does: write the header of a file and the checksum of all of it to the standard output."""
    with Path(path).open("rb") as file:
        header = file.read(_HEADER)
        checksum = _of_header(header)
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    sys.stdout.buffer.write(header + str(checksum).encode())


if __name__ == "__main__":
    _read(sys.argv[1])
