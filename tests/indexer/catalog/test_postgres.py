"""A catalogue on a PostgreSQL server: the same library as with SQLite, through every change, on a real server.

The server is Debian's package `postgresql`. Where it is not installed, these tests are skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from indexer.catalog.writer import CatalogWriter
from indexer.ingest.index_run import index_videos
from indexer.repair.library_repair import repair_library
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.store.management import model_states, remove_videos
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError, LibraryError

pytestmark = pytest.mark.usefixtures("decoding_here")


def binaries() -> Path | None:
    """Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server on a socket in a folder of its own; the URL lacks the name of the database."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed.")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    # Not below tmp_path: the path of a socket is short, and the server's user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="quartet-pg-", dir="/tmp"))
    data = folder / "data"

    def run(*command: str) -> None:
        result = subprocess.run(
            [programs / command[0], *command[1:]],
            user=user if os.getuid() == 0 else None,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr

    try:
        shutil.chown(folder, user)
        run(
            "initdb",
            "--pgdata",
            str(data),
            "--auth",
            "trust",
            "--no-sync",
            "--encoding",
            "UTF8",
            "--username",
            "quartet",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "--wait", "--pgdata", str(data), "--log", str(folder / "log"), "--options", options)
        try:
            yield f"postgresql://quartet@/{{}}?host={folder}"
        finally:
            run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", str(data))
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(server: str) -> Iterator[Callable[[str], str]]:
    """database(name) makes an empty database and gives its URL."""
    admin = create_engine(server.format("postgres").replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    made = []

    def make(name: str) -> str:
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        made.append(name)
        return server.format(name)

    yield make
    with admin.connect() as connection:
        for name in made:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


def everything(folder: Path, encoder: FakeEncoder) -> dict[str, object]:
    """All that a reader can ask of a library."""
    with Library.open(folder) as library:
        catalog, generation = library.catalog, library.current()
        clips = catalog.list_clips(limit=None)
        captions = catalog.captions(generation.captions.ids.tolist())
        query = encoder.encode_texts(["a red square"]).vectors
        hits = search(generation.clips, encoder.spec.levels, query, 3, {}).hits if len(generation.clips) else []
        return {
            "generation": generation.name,
            "roots": catalog.roots(),
            "videos": catalog.list_videos(limit=None),
            "page": catalog.list_videos(1, 2),
            "clips": clips,
            "captions": captions,
            "captions of": {clip.id: catalog.captions_of(clip.id) for clip in clips},
            "failures": catalog.failures(),
            "counts": catalog.counts(),
            "table": [column.tolist() for column in vars(catalog.clip_table()).values()],
            "vectors": [rows.tolist() for rows in generation.clips.vectors(generation.clips.ids).values()],
            "hits": [(hit.id, hit.score) for hit in hits],
            "sound": verify_library(folder),
        }


def test_it_holds_what_sqlite_holds_through_every_change(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    here, there = tmp_path / "sqlite", tmp_path / "postgres"
    catalogs = {here: None, there: database("changes")}
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"video": "a.mp4", "captions": ["ein Quadrat ■", "%s"]}\n' % ("long " * 2000), encoding="utf-8")

    def both(change: Callable[[], None], after: Callable[[Path], object]) -> None:
        change()
        for folder in catalogs:
            after(folder)
        assert everything(here, encoder) == everything(there, encoder)

    def index(folder: Path) -> None:
        index_videos(folder, [videos], encoder, catalog=catalogs[folder])

    def nothing() -> None:
        pass

    both(lambda: (videos / "broken.mp4").write_bytes(b"no video"), index)
    both(nothing, lambda folder: add_captions(folder, texts, encoder))
    both(nothing, lambda folder: add_captions(folder, texts, encoder))
    both(lambda: (videos / "a.mp4").rename(videos / "moved ä.mp4"), index)
    both(lambda: shutil.copy(videos / "b.mp4", videos / "c.mp4"), index)
    both((videos / "more" / "e.mp4").unlink, index)
    both((videos / "broken.mp4").unlink, index)
    both(nothing, lambda folder: remove_videos(folder, [videos / "more"]))
    assert not (there / "catalog.sqlite").exists()
    assert everything(there, encoder)["sound"] == []


def test_a_stopped_run_goes_on(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    url, library = database("stopped"), tmp_path / "library"

    def stop(progress: object) -> None:
        if progress.done == 2:  # type: ignore[attr-defined]
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        index_videos(library, [videos], encoder, catalog=url, on_progress=stop)
    report = index_videos(library, [videos], encoder)
    assert (report.unchanged, report.indexed, report.clips_total) == (2, 3, 5)


def test_the_model_changes_and_back(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    here, there, other = tmp_path / "sqlite", tmp_path / "postgres", FakeEncoder(1, dim=24)
    texts = tmp_path / "texts.txt"
    texts.write_text("a red square\na cat\n", encoding="utf-8")
    for folder, catalog in ((here, None), (there, database("model"))):
        index_videos(folder, [videos], encoder, catalog=catalog)
        add_captions(folder, texts, encoder)
    before = everything(there, encoder)
    for model in (other, encoder):
        for folder in (here, there):
            report = index_videos(folder, [videos], model, to_model=True)
            assert report.change is not None and report.change.done
            assert [state.what for state in model_states(folder)] == ["live", "before"]
        assert everything(here, model) == everything(there, model)
    assert {**everything(there, encoder), "generation": before["generation"]} == before


def test_readers_see_whole_videos_while_a_writer_works(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos / "a.mp4"], encoder, catalog=database("readers"))
    seen, done = [], threading.Event()
    with Library.open(library) as opened:

        def read() -> None:
            while not done.is_set():
                generation = opened.current()
                seen.append(set(generation.clips.ids.tolist()) <= set(opened.catalog.clips(generation.clips.ids)))

        reader = threading.Thread(target=read)
        reader.start()
        index_videos(library, [videos], encoder)
        done.set()
        reader.join()
        assert opened.catalog.counts().clips == 5
    assert seen and all(seen)


def test_each_library_needs_a_database_of_its_own(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    url = database("taken")
    index_videos(tmp_path / "one", [videos], encoder, catalog=url)
    with pytest.raises(LibraryError, match="already holds the catalogue of another library"):
        index_videos(tmp_path / "two", [videos], encoder, catalog=url)
    assert not (tmp_path / "two" / "CURRENT").exists()


def test_an_older_catalogue_gets_what_has_come_since(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    url, library = database("older"), tmp_path / "library"
    index_videos(library, [videos], encoder, catalog=url)
    engine = create_engine(url.replace("://", "+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE clips DROP COLUMN removed"))
        connection.execute(text("DROP TABLE caption_sources"))
    with Library.open(library) as opened:
        assert opened.catalog.counts().clips == 5
    assert {"removed"} <= {column["name"] for column in inspect(engine).get_columns("clips")}
    engine.dispose()


def test_a_server_that_does_not_answer_is_named(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], encoder, catalog=database("gone"))
    (library / "catalog.url").write_text(f"postgresql://quartet@/gone?host={tmp_path}\n")
    with pytest.raises(LibraryError, match=r"The catalogue on postgresql\+psycopg://quartet@/gone.* cannot be used"):
        Library.open(library)
    with pytest.raises(LibraryError, match="cannot be used"):
        index_videos(tmp_path / "new", [videos], encoder, catalog=f"postgresql://quartet@/gone?host={tmp_path}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://quartet:secret@host/name", "contains a password"),
        ("mysql://host/name", "'mysql' is not supported"),
        ("no url", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_used(tmp_path: Path, videos: Path, encoder: FakeEncoder, url: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        index_videos(tmp_path / "library", [videos], encoder, catalog=url)
    assert "secret" not in str(caught.value)


def test_vectors_are_read_back_bit_for_bit(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], encoder, catalog=database("bits"))
    index_videos(tmp_path / "sqlite", [videos], encoder)
    with Library.open(library) as one, Library.open(tmp_path / "sqlite") as two:
        ids = one.current().clips.ids
        ours, theirs = one.current().clips.vectors(ids), two.current().clips.vectors(ids)
        assert all(np.array_equal(ours[level], theirs[level]) for level in ours)


def test_a_copy_of_the_folder_may_not_write_to_the_originals_database(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    library, copy = tmp_path / "library", tmp_path / "copy"
    index_videos(library, [videos], encoder, catalog=database("copied"))
    shutil.copytree(library, copy)
    (videos / "a.mp4").unlink()
    with pytest.raises(LibraryError, match=f"is a copy: its catalogue on the server belongs to {library}"):
        index_videos(copy, [videos], encoder)
    index_videos(library, [videos], encoder)
    with pytest.raises(LibraryError, match="belongs to generation 000003, but 000002 is live"):
        Library.open(copy)
    shutil.rmtree(copy)
    library.rename(copy)
    (videos / "b.mp4").unlink()
    assert index_videos(copy, [videos], encoder).removed == 1, "a folder that has moved is no copy"


def test_a_database_put_back_from_an_older_dump_is_refused_and_repaired(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str], server: str
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], encoder, catalog=database("live"))
    admin = create_engine(server.format("postgres").replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text('CREATE DATABASE "older" TEMPLATE "live"'))
    (videos / "a.mp4").unlink()
    shutil.copy(videos / "b.mp4", videos / "c.mp4")
    index_videos(library, [videos], encoder)
    url = library / "catalog.url"
    url.write_text(url.read_text().replace("/live", "/older"))
    with pytest.raises(LibraryError, match="does not know the live generation 000003"):
        Library.open(library)
    repair_library(library, lambda: encoder)
    index_videos(library, [videos], encoder)
    assert verify_library(library) == []
    url.write_text(url.read_text().replace("/older", "/live"))
    with admin.connect() as connection:
        connection.execute(text('DROP DATABASE "older" WITH (FORCE)'))
    admin.dispose()


def test_two_machines_do_not_write_at_once(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, database: Callable[[str], str]
) -> None:
    library = tmp_path / "library"
    index_videos(library, [videos], encoder, catalog=database("locked"))
    levels = encoder.spec.levels
    # flock does not reach from one machine to another: that is what this stands for.
    with (
        closing(CatalogWriter(library / "catalog.sqlite", levels)),
        pytest.raises(LibraryError, match="Another machine or folder is writing the catalogue"),
    ):
        CatalogWriter(library / "catalog.sqlite", levels)
    CatalogWriter(library / "catalog.sqlite", levels).close()
