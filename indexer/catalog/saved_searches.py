"""Searches that are kept under a name, and up to which clip each has been looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

# Its ON CONFLICT is compiled for SQLite too; SQLite's own is not for PostgreSQL.
from sqlalchemy import Connection, Engine, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from indexer.catalog.schema import clips, saved_searches
from indexer.catalog.seal import unseal
from indexer.catalog.writing_session import WritingSession
from indexer.disk.writer_lock import writer_lock
from quartet.errors import InputError, LibraryError, NotFoundError

LONGEST_NAME = 64
"""Characters."""


@dataclass(frozen=True)
class SavedSearch:
    """request: JSON as `POST /v1/search/clips` takes it; seen: the newest clip when it was last looked at."""

    name: str
    request: str
    seen: int


def saved_search_list(engine: Engine) -> list[SavedSearch]:
    """All of them, in order of their names."""
    with engine.connect() as connection:
        return [_saved(row) for row in connection.execute(select(saved_searches).order_by(saved_searches.c.name))]


def saved_search(engine: Engine, name: str) -> SavedSearch:
    """The one of that name, however its blanks are. Raises NotFoundError."""
    name = _tidy(name)
    with engine.connect() as connection:
        row = connection.execute(select(saved_searches).where(saved_searches.c.name == name)).first()
    if row is None:
        raise NotFoundError(f"There is no saved search {name!r}. `quartet searches list` lists the saved ones.")
    return _saved(row)


def save_search(engine: Engine, name: str, request: str) -> SavedSearch:
    """Keep a search, in place of one of the same name. Clips that there are now are not new to it."""
    name = _tidy(name)
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InputError(f"{name!r} is not a valid name for a search: give 1 to {LONGEST_NAME} characters.")
    with _writing(engine) as connection:
        row = {"name": name, "request": request, "seen": connection.scalar(_NEWEST)}
        statement = upsert(saved_searches).values(row)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
    return saved_search(engine, name)


def newest_clip(engine: Engine) -> int:
    """The id of the newest clip; 0 where there is none."""
    with engine.connect() as connection:
        return int(connection.scalar(_NEWEST) or 0)


def mark_seen(engine: Engine, name: str, clip_id: int) -> None:
    """Record that a search has been looked at when `clip_id` was the newest clip."""
    with _writing(engine) as connection:
        connection.execute(update(saved_searches).where(saved_searches.c.name == _tidy(name)).values(seen=clip_id))


def remove_search(engine: Engine, name: str) -> None:
    """Raises NotFoundError if there is no search of that name."""
    known = saved_search(engine, name)
    with _writing(engine) as connection:
        connection.execute(delete(saved_searches).where(saved_searches.c.name == known.name))


def _tidy(name: str) -> str:
    """A name with single blanks and no line breaks: as it is kept."""
    return " ".join(name.split())


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """A transaction. The file of SQLite gets a new checksum; while a command writes to the library, the transaction is
    next to it and takes the checksum off, which the command then gives again."""
    with ExitStack() as stack:
        if (library := _folder(engine)) is not None and _is_free(library, stack):
            stack.enter_context(closing(WritingSession(engine, library)))
        connection = stack.enter_context(engine.begin())
        if library is not None:
            unseal(connection.connection.driver_connection)  # type: ignore[arg-type]
        yield connection


def _folder(engine: Engine) -> Path | None:
    """The folder of a library with its catalogue in a file."""
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    return Path(file).parent if file else None


def _is_free(library: Path, stack: ExitStack) -> bool:
    """Whether no command writes to a library; none can before `stack` is closed."""
    try:
        stack.enter_context(writer_lock(library))
    except LibraryError:
        return False
    return True


def _saved(row: Row) -> SavedSearch:
    return SavedSearch(row.name, row.request, row.seen)


_NEWEST = select(func.coalesce(func.max(clips.c.id), 0))
