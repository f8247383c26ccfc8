"""The tables of catalog.sqlite and how it is opened (docs/library-format.md explains each column)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
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
)
from sqlalchemy.engine import URL

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
    Column("size", Integer, nullable=False),
    Column("mtime", Float, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("duration", Float, nullable=False),
    Column("fps", Float, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    UniqueConstraint("root_id", "relpath"),
    sqlite_autoincrement=True,
)

clips = Table(
    "clips",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("video_id", ForeignKey("videos.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
    # The number of the first generation without this clip; readers of the one before still look it up.
    Column("removed", Integer, nullable=True, index=True),
    sqlite_autoincrement=True,
)

captions = Table(
    "captions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

caption_sources = Table(
    "caption_sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("caption_id", ForeignKey("captions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("source", String, nullable=False),
    Column("video_id", ForeignKey("videos.id", ondelete="SET NULL"), nullable=True, index=True),
)

failures = Table(
    "failures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("roots.id"), nullable=False),
    Column("relpath", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime", Float, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    UniqueConstraint("root_id", "relpath"),
)

# Vectors that no generation holds yet, in the same transaction as their clip or caption.
staged = Table(
    "staged",
    metadata,
    Column("kind", String, primary_key=True),
    Column("item_id", Integer, primary_key=True),
    Column("vectors", LargeBinary, nullable=False),
)


def open_database(path: Path) -> Engine:
    """An engine on a catalogue file: WAL, so that readers never wait for the indexer, and foreign keys on."""
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        # auto_vacuum first: it can only be chosen while the file has no tables. Staged vectors come and go.
        for pragma in ("auto_vacuum = FULL", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
