"""Exact words in texts: full-text search by the database itself, FTS5 of SQLite or that of PostgreSQL.

Letters count in either case. SQLite also takes é for e; PostgreSQL compares letters as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, inspect, text

_INDEX = "caption_words"
_TOKENS = "unicode61 remove_diacritics 2"

_SQLITE = (
    # Without a copy of the texts, which it looks up in the table.
    f"CREATE VIRTUAL TABLE {_INDEX} USING fts5(text, content='captions', content_rowid='id', tokenize='{_TOKENS}')",
    f"INSERT INTO {_INDEX}({_INDEX}) VALUES ('rebuild')",
    f"""CREATE TRIGGER {_INDEX}_added AFTER INSERT ON captions BEGIN
        INSERT INTO {_INDEX}(rowid, text) VALUES (new.id, new.text); END""",
    f"""CREATE TRIGGER {_INDEX}_deleted AFTER DELETE ON captions BEGIN
        INSERT INTO {_INDEX}({_INDEX}, rowid, text) VALUES ('delete', old.id, old.text); END""",
)
_POSTGRES = f"CREATE INDEX IF NOT EXISTS {_INDEX} ON captions USING gin (to_tsvector('simple', text))"


def make_word_index(connection: Connection) -> None:
    """Make the index of a catalogue that has none."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_POSTGRES)
    elif lacks_word_index(connection):
        for statement in _SQLITE:
            connection.exec_driver_sql(statement)


def scrub_word_index(connection: Connection) -> None:
    """Leave no trace of texts that were deleted: until then the index may still hold their words."""
    if connection.dialect.name != "postgresql" and not lacks_word_index(connection):
        connection.exec_driver_sql(f"INSERT INTO {_INDEX}({_INDEX}) VALUES ('rebuild')")


def lacks_word_index(connection: Connection) -> bool:
    """Whether a catalogue has no index of words."""
    inspector = inspect(connection)
    if connection.dialect.name == "postgresql":
        return inspector.has_table("captions") and _INDEX not in {
            index["name"] for index in inspector.get_indexes("captions")
        }
    return not inspector.has_table(_INDEX)


def texts_with(engine: Engine, phrases: Sequence[Sequence[str]]) -> list[int]:
    """Ids of the captions that hold all of these phrases."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            wanted = " AND ".join(
                f"to_tsvector('simple', text) @@ phraseto_tsquery('simple', :p{i})" for i in range(len(phrases))
            )
            values = {f"p{i}": " ".join(phrase) for i, phrase in enumerate(phrases)}
            return list(connection.scalars(text(f"SELECT id FROM captions WHERE {wanted} ORDER BY id"), values))
        match = " AND ".join(f'"{" ".join(phrase)}"' for phrase in phrases)
        found = text(f"SELECT rowid FROM {_INDEX} WHERE {_INDEX} MATCH :match ORDER BY rowid")
        return list(connection.scalars(found, {"match": match}))
