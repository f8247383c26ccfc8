"""A full disk and a folder that is closed to writing: one clear error, and a library that is as valid as before."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from indexer.disk.durable_files import write_array, write_index
from indexer.ingest.index_run import index_videos
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError

ROOT = Path(__file__).parents[3]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: to the writer that is a full disk (EFBIG in place of ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


CANNOT = r"lib cannot be written \(.*Free space on its disk and run the same command again"


@pytest.mark.usefixtures("decoding_here")
def test_a_disk_that_fills_up_amid_a_run_costs_what_did_not_fit(tmp_path: Path, videos: Path) -> None:
    # Large vectors, so that a file more or less shows in the size of the catalogue.
    library, encoder = tmp_path / "lib", FakeEncoder(dim=4096)
    with largest_file(150_000), pytest.raises(LibraryError, match=CANNOT):
        index_videos(library, [videos], encoder)
    assert not exists(library), "there was no room for an empty library"
    with largest_file(300_000), pytest.raises(LibraryError, match=CANNOT):
        index_videos(library, [videos], encoder)
    with Library.open(library) as opened:
        staged = opened.catalog.counts().clips
    assert 0 < staged < 5
    report = index_videos(library, [videos], encoder)
    assert (report.unchanged, report.indexed, report.clips_total) == (staged, 5 - staged, 5)
    assert verify_library(library) == []


@pytest.mark.usefixtures("decoding_here")
def test_a_disk_that_has_no_room_for_the_index_leaves_the_one_before(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, encoder = tmp_path / "lib", FakeEncoder(dim=4096)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr("indexer.ingest.index_run.publish_changes", raise_memory_error)
        index_videos(library, [videos], encoder)
    with largest_file(60_000), pytest.raises(LibraryError, match=CANNOT.replace(".*", "File too large.*")):
        index_videos(library, [videos], encoder)
    assert [path.name for path in library.glob("generations/*")] == ["000001"]
    report = index_videos(library, [videos], encoder)
    assert (report.unchanged, report.indexed, report.clips_total) == (5, 0, 5)
    assert verify_library(library) == []


def raise_memory_error(*_: object) -> None:
    raise MemoryError


def test_what_libraries_overlook_on_a_full_disk_is_seen() -> None:
    import faiss

    index = faiss.IndexFlatIP(4)
    index.add(np.eye(4, dtype=np.float32))
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_index(index, full)
    with pytest.raises(OSError, match="No space left"):
        write_array(np.zeros(1000), full)


SCRIPT = """
import sys
from pathlib import Path
from indexer.ingest.index_run import index_videos
from indexer.store.library import Library
from quartet.errors import LibraryError
from model.fake_encoder import FakeEncoder

if __name__ == "__main__":
    library, videos = map(Path, sys.argv[1:])
    with Library.open(library) as opened:
        print(len(opened.catalog.list_clips()), len(opened.current().clips))
    try:
        index_videos(library, [videos], FakeEncoder())
    except LibraryError as error:
        print(error)
"""


def test_a_library_that_may_not_be_written_can_be_read(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    library, script = tmp_path / "lib", tmp_path / "script.py"
    index_videos(library, [videos], encoder)
    script.write_text(SCRIPT)
    # Root may write everywhere, unless it gives up that capability.
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    if powerless and shutil.which("setpriv") is None:
        pytest.skip("root without setpriv cannot be refused anything")
    before = {path: path.stat().st_mtime_ns for path in library.rglob("*")}
    folders = [library, *(path for path in library.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    (videos / "new.mp4").write_bytes(b"")
    try:
        done = subprocess.run(
            [*powerless, sys.executable, str(script), str(library), str(videos)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "5 5",
        f"The library {library} cannot be written: its folder is read-only. Change its permissions.",
    ]
    assert {path: path.stat().st_mtime_ns for path in library.rglob("*")} == before


def test_a_catalogue_that_turns_out_to_be_damaged(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    library = tmp_path / "lib"
    index_videos(library, [videos], encoder)
    catalog = library / "catalog.sqlite"
    with closing(sqlite3.connect(catalog)) as database:
        database.execute("PRAGMA user_version = 0")  # as after a kill: without the checksum that would tell before
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'video_texts'").fetchone()
    with catalog.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(LibraryError, match=r"lib is damaged \(database disk image is malformed\)\. Restore it"):
        index_videos(library, [videos], encoder)
