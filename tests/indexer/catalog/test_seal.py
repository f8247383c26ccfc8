"""The checksum of a catalogue is the same whether SQLite gives its content or its file is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from indexer.catalog import seal as seal_module
from indexer.catalog.seal import is_damaged, is_sound, seal, unseal
from indexer.store.library import Library
from indexer.store.management import tag_videos
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "some.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"row {i}" * 50,) for i in range(500)])
        connection.commit()
        empty_log(connection)
        yield connection


def empty_log(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def sealed(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_both_ways_give_the_same(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(database)
    empty_log(database)
    one = sealed(database)
    monkeypatch.setattr(seal_module, "_MIN_BYTES_READ", 0)
    assert is_sound(database)
    unseal(database)
    empty_log(database)
    seal(database)
    assert sealed(database) == one != 0


def test_a_changed_byte_of_a_large_file_is_noticed(
    database: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_module, "_MIN_BYTES_READ", 0)
    seal(database)
    empty_log(database)
    assert not is_damaged(database)
    content = (tmp_path / "some.sqlite").read_bytes()
    for place in (len(content) // 2, len(content) - 1, 25):
        broken = bytearray(content)
        broken[place] ^= 1
        (tmp_path / "broken.sqlite").write_bytes(broken)
        with closing(sqlite3.connect(tmp_path / "broken.sqlite")) as other:
            assert is_damaged(other)


def test_a_large_file_with_a_log_is_neither_sealed_nor_compared(
    database: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_module, "_MIN_BYTES_READ", 0)
    with closing(sqlite3.connect(tmp_path / "some.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchone()
        database.execute("DELETE FROM t WHERE rowid = 1")
        database.commit()
        seal(database)
        assert sealed(database) == 0
        reader.rollback()
    empty_log(database)
    seal(database)
    assert sealed(database) != 0


def test_reading_the_file_leaves_its_locks(
    database: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_module, "_MIN_BYTES_READ", 0)
    database.execute("BEGIN IMMEDIATE")
    locks = [line for line in Path("/proc/locks").read_text().splitlines() if "POSIX" in line]
    seal(database)
    after = [line for line in Path("/proc/locks").read_text().splitlines() if "POSIX" in line]
    inode = str((tmp_path / "some.sqlite").stat().st_ino)
    own = [line for line in locks if line.split()[5].endswith(f":{inode}")]
    assert own
    assert [line.split()[1:] for line in after if line.split()[5].endswith(f":{inode}")] == [
        line.split()[1:] for line in own
    ]
    database.rollback()


def test_commands_work_on_a_large_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal_module, "_MIN_BYTES_READ", 0)
    encoder = FakeEncoder(dim=4)
    Library.create(tmp_path / "lib", encoder.spec).close()
    (tmp_path / "texts.txt").write_text("a cat\na dog\n")
    add_captions(tmp_path / "lib", tmp_path / "texts.txt", encoder)
    with pytest.raises(InputError, match="no video at"):
        tag_videos(tmp_path / "lib", [tmp_path / "x.mp4"], add=["seen"])
    assert verify_library(tmp_path / "lib") == []
    catalogue = tmp_path / "lib" / "catalog.sqlite"
    catalogue.write_bytes(catalogue.read_bytes().replace(b"a cat", b"a bat"))
    assert any("has changed since Quartet wrote it" in problem.detail for problem in verify_library(tmp_path / "lib"))
