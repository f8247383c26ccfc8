"""The library on disk: made, opened, swapped, and refused when it is not what it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.disk.writer_lock import writer_lock
from indexer.search.filters import ClipTable
from indexer.search.top_k import search
from indexer.search.vectors.row_source import Rows, empty_rows
from indexer.store import generation_swap
from indexer.store.generation_swap import publish
from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from quartet.errors import FingerprintError, LibraryError, NotFoundError

SPEC = FakeEncoder().spec


def constant_rows(value: float, count: int) -> Rows:
    """`count` items whose vectors hold `value` everywhere."""
    vectors = {level.name: np.full((count, level.dim), value, dtype=np.float32) for level in SPEC.levels}
    return np.arange(1, count + 1, dtype=np.int64), vectors


def publish_clips(path: Path, rows: Rows) -> str:
    return publish(path, SPEC, {"clips": rows, "captions": empty_rows(SPEC.levels)})


def test_a_new_library_is_empty_and_remembers_its_model(tmp_path: Path) -> None:
    with Library.create(tmp_path / "lib", SPEC) as library:
        generation = library.current()
        assert (generation.name, len(generation.clips), len(generation.captions)) == ("000001", 0, 0)
        assert generation.manifest.spec == SPEC
        assert generation.manifest.counts == {"clips": 0, "captions": 0}
        query = FakeEncoder().encode_texts(["a cat running"]).vectors
        assert search(generation.clips, SPEC.levels, query, 3, {}).hits == []
        with pytest.raises(NotFoundError, match="no clip 1 "):
            library.catalog.clip(1)
        with pytest.raises(NotFoundError, match="picture of clip 1 "):
            library.thumbnail(1)


def test_a_library_that_has_lost_its_current_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "lib"
    Library.create(path, SPEC).close()
    name = publish_clips(path, constant_rows(1.0, 3))
    (path / "CURRENT").unlink()
    for attempt in (Library.open, lambda path: Library.create(path, SPEC)):
        with pytest.raises(LibraryError, match=f"CURRENT.* is missing.* newest generation on disk is {name}"):
            attempt(path)
    (path / "CURRENT").write_text(name)
    with Library.open(path) as library:
        assert len(library.current().clips) == 3


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(LibraryError, match=r"it holds thesis\.doc"):
        Library.create(tmp_path, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
    with Library.create(tmp_path / "lib", SPEC), pytest.raises(LibraryError, match="already"):
        Library.create(tmp_path / "lib", SPEC)
    with Library.create(tmp_path / "lib", SPEC, wait=True) as made_by_another:
        assert made_by_another.current().name == "000001"


def test_a_creation_that_was_cut_short_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(generation_swap, "replace_file", cut)
        Library.create(tmp_path / "lib", SPEC)
    with pytest.raises(LibraryError, match="There is no library"):
        Library.open(tmp_path / "lib")
    with Library.create(tmp_path / "lib", SPEC) as library:
        assert library.current().name == "000001"


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    with (
        Library.create(tmp_path / "lib", SPEC) as library,
        pytest.raises(FingerprintError, match=r"fake-0-16.*fake-7-16"),
    ):
        library.check_encoder(FakeEncoder(seed=7).spec)


def test_opening_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="There is no library at"):
        Library.open(tmp_path / "lib")


@pytest.mark.parametrize(
    "name", ["clips/0000/entity.faiss", "clips/0000/action.codes.npy", "clips/0000/ids.npy", "captions/removed.npy"]
)
def test_damage_is_found_when_a_library_is_opened(tmp_path: Path, name: str) -> None:
    Library.create(tmp_path / "lib", SPEC).close()
    publish_clips(tmp_path / "lib", constant_rows(1.0, 4))
    path = tmp_path / "lib" / "generations" / "000002" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(LibraryError, match=f"checksum of .*{name}"):
        Library.open(tmp_path / "lib")
    path.unlink()
    with pytest.raises(LibraryError, match=f"{name} is missing"):
        Library.open(tmp_path / "lib")


def test_a_damaged_catalogue_or_manifest_is_named(tmp_path: Path) -> None:
    Library.create(tmp_path / "lib", SPEC).close()
    (tmp_path / "lib" / "catalog.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(LibraryError, match=r"catalog\.sqlite cannot be read"):
        Library.open(tmp_path / "lib")
    (tmp_path / "lib" / "catalog.sqlite").unlink()
    with pytest.raises(LibraryError, match=r"catalog\.sqlite is missing"):
        Library.open(tmp_path / "lib")
    Library.create(tmp_path / "other", SPEC).close()
    (tmp_path / "other" / "generations" / "000001" / "manifest.json").write_text("{")
    with pytest.raises(LibraryError, match=r"manifest\.json cannot be read"):
        Library.open(tmp_path / "other")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Library.create(tmp_path / "lib", SPEC).close()
    path = tmp_path / "lib" / "generations" / "000001" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99, "novelty": True}))
    with pytest.raises(LibraryError, match=r"format version 99.*Upgrade"):
        Library.open(tmp_path / "lib")


def test_a_generation_stays_usable_after_it_was_replaced_and_removed(tmp_path: Path) -> None:
    with Library.create(tmp_path / "lib", SPEC) as library:
        publish_clips(library.path, constant_rows(1.0, 3))
        held = library.current()
        for value in (2.0, 3.0, 4.0):
            publish_clips(library.path, constant_rows(value, 5))
        assert sorted(path.name for path in (library.path / "generations").iterdir()) == ["000004", "000005"]
        assert held.clips.vectors([3])["global"].tolist() == [[1.0] * 16]
        assert library.current().clips.vectors([5])["global"].tolist() == [[4.0] * 16]


def test_readers_beside_a_writer_see_one_generation_each(tmp_path: Path) -> None:
    """Generation n holds n clips whose inner products are n, so that a mixture would show."""
    with Library.create(tmp_path / "lib", SPEC) as library:
        query = {level.name: np.full((1, level.dim), 1 / level.dim, dtype=np.float32) for level in SPEC.levels}
        done = threading.Event()

        def read() -> set[int]:
            seen = set()
            while True:
                last = done.is_set()
                generation = library.current()
                number = int(generation.name)
                result = search(generation.clips, SPEC.levels, query, 100, {"global": 0.0})
                assert [hit.id for hit in result.hits] == list(range(1, number))
                assert all(hit.score == pytest.approx(number) for hit in result.hits)
                seen.add(number)
                if last:
                    return seen

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            for number in range(2, 12):
                publish_clips(library.path, constant_rows(float(number), number - 1))
            done.set()
            for reader in readers:
                assert max(reader.result()) == 11


def test_a_second_writer_is_told_who_holds_the_library(tmp_path: Path) -> None:
    with (
        writer_lock(tmp_path),
        pytest.raises(LibraryError, match=f"Process {os.getpid()} is writing"),
        writer_lock(tmp_path),
    ):
        pass
    with writer_lock(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\nfrom indexer.disk.writer_lock import writer_lock\n"
        "with writer_lock(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    root = Path(__file__).parents[3]
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LibraryError, match=f"Process {holder.pid}"), writer_lock(tmp_path):
            pass
        holder.kill()
        holder.wait()
        with writer_lock(tmp_path):
            pass


def test_the_clip_table_is_read_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a swap: the first reads, the others wait for it."""
    Library.create(tmp_path / "lib", SPEC).close()
    with Library.open(tmp_path / "lib") as library:
        reads, together = [], threading.Barrier(8, timeout=20)
        read = library.catalog.clip_table

        def slow() -> ClipTable:
            reads.append(1)
            together.wait()  # broken at once where a second one reads
            return read()

        def ask(number: int) -> ClipTable:
            if number:
                together.wait()
            return (library.timeline(), library.clip_table())[1] if number % 2 else library.clip_table()

        monkeypatch.setattr(library.catalog, "clip_table", slow)
        with ThreadPoolExecutor(8) as pool:
            assert len({id(table) for table in pool.map(ask, range(8))}) == 1
        assert reads == [1]
