"""A catalogue on a database server instead of in the library's folder (docs/scale.md).

`catalog.url` in the library's folder names the database, one per library. The password is not in it: libpq, the
server's own client, takes it from PGPASSWORD, PGPASSFILE or ~/.pgpass.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from quartet.errors import InputError, LibraryError
from quartet.installation import install_command

URL_FILE = "catalog.url"
_SERVERS = {"postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}


def checked_url(text: str) -> URL:
    """The URL of a database, for SQLAlchemy. Raises InputError."""
    try:
        url = make_url(text)
    except ArgumentError:
        # Not shown: it may hold a password.
        raise InputError(
            "The catalogue's URL cannot be read. It has the form postgresql://USER@HOST:PORT/DATABASE."
        ) from None
    if url.drivername not in _SERVERS:
        raise InputError(
            f"The database {url.drivername!r} is not supported. Give a URL that begins with postgresql://."
        )
    if url.password is not None:
        raise InputError(
            "The catalogue's URL contains a password, which the library would save in plain text. Leave it "
            "out and set PGPASSWORD, or use ~/.pgpass."
        )
    return url.set(drivername=_SERVERS[url.drivername])


def server_url(library: Path) -> URL | None:
    """The database that a library's catalogue is in; None if it is in the folder. Raises LibraryError."""
    try:
        text = (library / URL_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryError(f"{library / URL_FILE} cannot be read: {error}.") from error
    try:
        return checked_url(text)
    except InputError as error:
        raise LibraryError(f"{library / URL_FILE} cannot be used. {error}") from error


def open_server(url: URL) -> Engine:
    """An engine on a database server. It connects at first use. Raises LibraryError without the driver."""
    try:
        # A connection that the server has closed meanwhile is noticed and replaced.
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        command = install_command("postgres")
        raise LibraryError(f"A catalogue on PostgreSQL needs psycopg. Run: {command}") from error


def unreachable(url: URL, error: DatabaseError) -> LibraryError:
    """The error for a server that does not answer, or not as it should."""
    reason = " ".join(str(error.orig).split())
    return LibraryError(f"The catalogue on {url} cannot be used: {reason}")
