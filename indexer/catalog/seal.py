"""A checksum that a SQLite file carries in itself: with it any byte that has changed since is noticed.

It is the CRC-32 of the whole file, in the number that SQLite leaves to the application (`PRAGMA user_version`). The
bytes that change when that number is written are left out. 0 stands for a file that somebody writes, or wrote when he
was killed.
https://www.sqlite.org/fileformat2.html#the_database_header
"""

from __future__ import annotations

import sqlite3
import zlib

_COUNTER, _USER_VERSION, _COUNTER_AGAIN = slice(24, 28), slice(60, 64), slice(92, 96)
"""Places in the header: SQLite counts changes in the first and copies the number to the third."""

_HEADER = 100


def seal(connection: sqlite3.Connection) -> None:
    """Give a database its checksum. Nobody else writes to it meanwhile."""
    _set(connection, _checksum(connection.serialize()))


def unseal(connection: sqlite3.Connection) -> None:
    """Take the checksum away, before anything else is written."""
    _set(connection, 0)


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether the content of a database is not what was sealed. One without a seal is not damaged."""
    (sealed,) = connection.execute("PRAGMA user_version").fetchone()
    if sealed == 0:
        return False
    content = connection.serialize()
    return content[_COUNTER] != content[_COUNTER_AGAIN] or sealed & 0xFFFFFFFF != _checksum(content) & 0xFFFFFFFF


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether a database has a checksum and its content is what was sealed."""
    (sealed,) = connection.execute("PRAGMA user_version").fetchone()
    return sealed != 0 and not is_damaged(connection)


def _checksum(content: bytes) -> int:
    """As a signed number of 32 bits, never 0."""
    header = bytearray(content[:_HEADER])
    for part in (_COUNTER, _USER_VERSION, _COUNTER_AGAIN):
        header[part] = bytes(4)
    checksum = zlib.crc32(memoryview(content)[_HEADER:], zlib.crc32(header)) or 1
    return checksum - 2**32 if checksum >= 2**31 else checksum


def _set(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(f"PRAGMA user_version = {number}")
