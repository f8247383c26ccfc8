"""The tables of the catalogue and how it is opened (docs/library-format.md explains each column)."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from indexer.catalog.database_server import open_server, server_url, unreachable
from indexer.catalog.seal import is_large, is_sound, seal, unseal
from indexer.catalog.word_index import lacks_word_index, make_word_index
from quartet.errors import LibraryError

metadata = MetaData()

roots = Table(
    "roots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("path", String, nullable=False, unique=True),
)

videos = Table(
    "videos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("roots.id"), nullable=False),
    Column("relpath", String, nullable=False),
    Column("title", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime", Float, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("duration", Float, nullable=False),
    Column("fps", Float, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    # `indexer.media.segmentation.Segmentation.text`. Null where an earlier version has cut it.
    Column("segmentation", String, nullable=True),
    UniqueConstraint("root_id", "relpath"),
    sqlite_autoincrement=True,
)

# A tag stays with its video when the file changes or moves, and goes with it.
video_tags = Table(
    "video_tags",
    metadata,
    Column("tag", String(64), primary_key=True),
    Column("video_id", ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True, index=True),
)

clips = Table(
    "clips",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("video_id", ForeignKey("videos.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
    # The number of the first generation without this clip; readers of the previous one still look it up.
    Column("removed", Integer, nullable=True, index=True),
    # CRC-32 of the picture and of the strip. Null where an earlier version has made them.
    Column("picture_crc", BigInteger, nullable=True),
    Column("strip_crc", BigInteger, nullable=True),
    sqlite_autoincrement=True,
)

captions = Table(
    "captions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String, nullable=False),
    # The writer keeps them distinct. PostgreSQL cannot: it indexes no text of more than 2.7 kB.
    UniqueConstraint("text").ddl_if(dialect="sqlite"),
    # As for clips.
    Column("removed", Integer, nullable=True),
    sqlite_autoincrement=True,
)

caption_sources = Table(
    "caption_sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("caption_id", ForeignKey("captions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("video_id", ForeignKey("videos.id", ondelete="SET NULL"), nullable=True, index=True),
    # Seconds of the video, if the text is about a part of it, as a subtitle is.
    Column("start", Float, nullable=True),
    Column("end", Float, nullable=True),
    # Of the text, as ISO 639-1 has it, where its file says so.
    Column("language", String(16), nullable=True),
)

# The texts of a video that indexing has read: subtitle files next to it, by name, and those inside of it, by "".
video_texts = Table(
    "video_texts",
    metadata,
    Column("video_id", ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime", Float, nullable=False),
)

# Searches that are kept, and which clips they have shown.
saved_searches = Table(
    "saved_searches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    # The request as JSON, as the API takes it.
    Column("request", String, nullable=False),
    # The newest clip when it was last looked at: what came later is new.
    Column("seen", Integer, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("roots.id"), nullable=False),
    Column("relpath", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime", Float, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    UniqueConstraint("root_id", "relpath"),
)

# The first clips of a long file that is still being encoded, so that a stop does not cost them. Nobody reads them.
unfinished = Table(
    "unfinished",
    metadata,
    Column("root_id", ForeignKey("roots.id"), primary_key=True),
    Column("relpath", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("segmentation", String, nullable=False),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
    Column("vectors", LargeBinary, nullable=False),
    Column("picture", LargeBinary, nullable=False),
    Column("strip", LargeBinary, nullable=False),
)

# Vectors that no generation holds yet, in the same transaction as their clip or caption.
staged = Table(
    "staged",
    metadata,
    Column("kind", String, primary_key=True),
    Column("item_id", Integer, primary_key=True),
    Column("vectors", LargeBinary, nullable=False),
)

# Vectors by the model that the library is changed to, of clips and captions that it has (`catalog.model_change`).
next_vectors = Table(
    "next_vectors",
    metadata,
    Column("kind", String, primary_key=True),
    Column("item_id", Integer, primary_key=True),
    Column("vectors", LargeBinary, nullable=False),
)

# What the catalogue knows of the generations on disk, so that the two can never disagree in silence.
generations = Table(
    "generations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Random; its manifest has the same.
    Column("stamp", String(32), nullable=False),
    Column("manifest", String, nullable=False),
    # False from just before CURRENT names it until just after.
    Column("settled", Boolean, nullable=False),
)

# Facts about the library as a whole; `indexer.catalog.writing_session` names them.
facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

# auto_vacuum first: it can only be chosen while the file has no tables. Staged vectors come and go.
# secure_delete: what is deleted is overwritten, so that it can be found in the file no more.
_PRAGMAS = ("auto_vacuum = FULL", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")


@event.listens_for(metadata, "after_create")
def _with_word_index(target: MetaData, connection: Connection, **_: object) -> None:
    make_word_index(connection)


def open_database(path: Path) -> Engine:
    """An engine on a catalogue file: WAL, so that readers never wait for the indexer, and foreign keys on.

    In a folder that cannot be written it reads what is there. If the library has its catalogue on a server instead
    (`indexer.catalog.database_server`), the engine is on that.
    """
    if (url := server_url(path.parent)) is not None:
        return open_server(url)
    if path.exists() and not all(os.access(place, os.W_OK) for place in (path, path.parent)):
        return _open_closed(path)
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        _add_unicode_lower(connection)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _open_closed(path: Path) -> Engine:
    # WAL needs to write next to the file, unless SQLite is told that the file rests. While an indexer that may
    # write works on it, it does not rest: there is then a log, and SQLite can read that.
    log = path.with_name(f"{path.name}-wal")
    resting = not log.exists() or log.stat().st_size == 0
    uri = f"file:{quote(str(path.resolve()))}?{'immutable=1' if resting else 'mode=ro'}"
    # A new connection each time: one that takes the file to be resting never looks for what has changed.
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    event.listen(engine, "connect", lambda connection, record: _add_unicode_lower(connection))
    return engine


def _add_unicode_lower(connection: Any) -> None:
    """SQLite's own `lower` knows the letters of ASCII alone."""
    connection.create_function("lower", 1, lambda text: None if text is None else text.lower(), deterministic=True)


def require_empty(url: URL) -> None:
    """Raises LibraryError unless a new library may have this database: no other's videos or captions are in it."""
    engine = open_server(url)
    try:
        with engine.connect() as connection:
            there = set(inspect(connection).get_table_names())
            for table in (videos, captions):
                if table.name in there and connection.execute(select(table.c.id).limit(1)).first() is not None:
                    raise LibraryError(
                        f"The database {url} already holds the catalogue of another library. Give each "
                        "library its own database."
                    )
    except DatabaseError as error:
        raise unreachable(url, error) from error
    finally:
        engine.dispose()


def upgrade(engine: Engine) -> None:
    """Give a catalogue that an earlier version made the tables and columns that have come since."""
    with engine.connect() as connection:
        if not _missing_columns(connection) and not lacks_word_index(connection):
            return
    with engine.begin() as connection:
        # So that of two processes that open it at once, the second sees what the first has done.
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('quartet upgrade'))"))
        file: Any = connection.connection.driver_connection if engine.dialect.name == "sqlite" else None
        sealed = file is not None and is_sound(file)
        metadata.create_all(connection)
        for table, column in _missing_columns(connection):
            kind = column.type.compile(engine.dialect)
            connection.exec_driver_sql(f'ALTER TABLE "{table}" ADD COLUMN "{column.name}" {kind}')
        if sealed:  # else damage that was there would be sealed with the rest
            (unseal if is_large(file) else seal)(file)


def _missing_columns(connection: Connection) -> list[tuple[str, Column]]:
    """(table, column) of everything that a catalogue does not have yet."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    found = {name: {column["name"] for column in inspector.get_columns(name)} for name in there & set(metadata.tables)}
    return [
        (t.name, column)
        for t in metadata.sorted_tables
        for column in t.columns
        if column.name not in found.get(t.name, set())
    ]
