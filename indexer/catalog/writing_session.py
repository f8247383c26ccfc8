"""The time in which one process writes to a catalogue: nobody else does, and the catalogue is the one it should be.

A file carries a checksum between sessions (`indexer.catalog.seal`). A database on a server is locked there too, since
several machines, or several copies of a library's folder, may reach it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from indexer.catalog.schema import facts
from indexer.catalog.seal import is_damaged, is_large, seal, unseal
from indexer.disk.library_identity import identity_of, original_of, place_of, set_identity
from quartet.errors import LibraryError

IDENTITY = "identity"
"""The fact that the catalogue shares with the file of that name (`indexer.disk.library_identity`)."""

_WRITTEN_FROM = "written from"
"""The fact of a catalogue on a server that names the folder of its library: MACHINE:PATH."""

_LOCK = "hashtext('quartet writer')"
"""The advisory lock of a database on a server, as SQL."""

_READER_TIMEOUT_MS = 1000
"""Milliseconds to wait for readers before the log is emptied into the file. If they stay, it is done another time."""


class WritingSession:
    """See the module. It begins when it is made; the caller holds the library's writer lock.

    wait             where another machine writes, wait for it instead of refusing
    accept_damaged   take a catalogue whose checksum does not match as it is
    Raises LibraryError if the catalogue is damaged, belongs to another library or is written by another machine.
    """

    def __init__(self, engine: Engine, library: Path, wait: bool = False, accept_damaged: bool = False) -> None:
        self._engine = engine
        self._library = library
        self._locked: Connection | None = None
        if engine.dialect.name == "sqlite":
            self._open_file(accept_damaged)
        else:
            self._locked = _lock(engine, wait)
        try:
            self._identify()
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """End the session. A full disk leaves the file without a checksum, and the log as it is: both are sound."""
        if self._engine.dialect.name == "sqlite":
            with suppress(OperationalError):
                self._close_file()
        self._unlock()

    def _open_file(self, accept_damaged: bool) -> None:
        with self._engine.connect() as connection:
            if not accept_damaged:
                require_undamaged(connection, self._library)
            unseal(_driver(connection))

    def _close_file(self) -> None:
        with self._engine.connect() as connection:
            raw = _driver(connection)
            if is_large(raw):
                _empty_log(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            seal(raw)
            connection.commit()
            _empty_log(connection)

    def _identify(self) -> None:
        with self._engine.begin() as connection:
            known, here = fact(connection, IDENTITY), identity_of(self._library)
            require_same_library(self._library, known, here)
            if here is None:
                here = set_identity(self._library, known)
            set_fact(connection, IDENTITY, here)
            if self._engine.dialect.name != "sqlite":
                self._require_no_copy(fact(connection, _WRITTEN_FROM), here)
                set_fact(connection, _WRITTEN_FROM, place_of(self._library))

    def _require_no_copy(self, place: str | None, identity: str) -> None:
        """Raises LibraryError if the folder that the database belongs to is another one, and still there."""
        if (original := original_of(self._library, identity, place)) is not None:
            raise LibraryError(
                f"The library {self._library} is a copy: its catalogue on the server belongs to {original}. "
                "Copy the database too and name the copy in catalog.url, or remove the original."
            )

    def _unlock(self) -> None:
        if self._locked is not None:
            # With the connection it goes too, but a busy server notices late that one has ended.
            with suppress(DBAPIError):
                self._locked.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
            self._locked.invalidate()
            self._locked.close()
            self._locked = None


def require_undamaged(connection: Connection, library: Path) -> None:
    """Raises LibraryError if a catalogue file is not what was sealed. A server checks its own."""
    if connection.dialect.name == "sqlite" and is_damaged(_driver(connection)):
        raise LibraryError(
            f"{library / 'catalog.sqlite'} is damaged or was changed by another program. Restore it from a "
            "backup and run `quartet repair`. To keep it as it is, run `quartet repair --accept-catalogue`."
        )


def require_same_library(library: Path, in_catalogue: str | None, in_folder: str | None) -> None:
    """Raises LibraryError if a catalogue and a folder say that they are of different libraries."""
    if in_catalogue is not None and in_folder is not None and in_catalogue != in_folder:
        raise LibraryError(
            f"The catalogue of {library} belongs to another library: the catalogue says {in_catalogue}, and "
            f"the file `identity` says {in_folder}. Restore the right catalogue, or run `quartet repair` if "
            "the file `identity` is damaged."
        )


def fact(connection: Connection, name: str) -> str | None:
    """What the catalogue says of the library as a whole under a name."""
    return connection.scalars(select(facts.c.value).where(facts.c.name == name)).one_or_none()


def set_fact(connection: Connection, name: str, value: str | None) -> None:
    """Replace a fact; None: there is none."""
    if fact(connection, name) != value:
        connection.execute(delete(facts).where(facts.c.name == name))
        if value is not None:
            connection.execute(insert(facts).values(name=name, value=value))


def _empty_log(connection: Connection) -> None:
    (before,) = connection.exec_driver_sql("PRAGMA busy_timeout").one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {_READER_TIMEOUT_MS}")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {before}")


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _lock(engine: Engine, wait: bool) -> Connection:
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    if wait:
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
    elif not connection.execute(text(f"SELECT pg_try_advisory_lock({_LOCK})")).scalar_one():
        connection.close()
        raise LibraryError(
            "Another machine or folder is writing the catalogue of the library. Wait until it has finished, "
            "or stop it, and try again."
        )
    return connection
