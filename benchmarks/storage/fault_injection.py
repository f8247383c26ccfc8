"""A fault at any file operation of any command: `python -m benchmarks.storage.fault_injection --runs 1000`.

Every command that writes to a library runs in a process of its own, in which one operation goes wrong: the n-th opening
for writing, flush, rename, link, removal, new folder or commit of the catalogue kills the process, or fails for want of
room (ENOSPC) or of a working disk (EIO). Then the library must open, the same command must finish, and what the library
holds must be what it holds after an undisturbed run, and sound. Videos are stand-ins (`stand_in_videos`).
Of `quartet export` a call of Milvus may also be the one that goes wrong; then Milvus must have what it has after an
undisturbed run. That needs `milvus-lite`; without it the command is left out.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from benchmarks.storage.stand_in_videos import decode_stand_ins, write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.milvus.export import export_library
from indexer.repair.library_repair import repair_library
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.management import remove_videos, tag_videos
from indexer.store.publishing import encode_again
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions, remove_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError

NEXT = FakeEncoder(1, dim=24)
"""The model that a library is changed to."""

FAULTS = ("kill", "ENOSPC", "EIO")

_MILVUS_CALLS = (
    "create_collection", "create_index", "insert", "flush", "load_collection", "create_alias", "alter_alias",
    "drop_collection", "describe_alias", "query", "list_collections",
)  # fmt: skip

_WRITING = os.O_WRONLY | os.O_RDWR


class Fault:
    """Makes the n-th file operation below a folder go wrong, in this process; counts them all."""

    def __init__(self, folder: Path, number: int, kind: str) -> None:
        self._folder = f"{folder}/"
        self._number = number
        self._kind = kind
        self.count = 0
        sys.addaudithook(self._heard)
        event.listen(Engine, "commit", lambda connection: self._commit())
        flush = os.fsync

        def fsync(handle: int) -> None:
            self._happens(str(Path(f"/proc/self/fd/{handle}").readlink()))
            flush(handle)

        os.fsync = fsync

    def of_milvus(self) -> None:
        """Count the calls of Milvus too."""
        from pymilvus import MilvusClient, MilvusException

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def called(*arguments: object, **options: object) -> object:
                self._count()
                if self.count == self._number:
                    raise MilvusException(message=f"{self._kind} in {call.__name__}")
                return call(*arguments, **options)

            return called

        for name in _MILVUS_CALLS:
            setattr(MilvusClient, name, counted(getattr(MilvusClient, name)))

    def _heard(self, name: str, arguments: tuple) -> None:
        if name == "open" and isinstance(arguments[0], str) and arguments[2] & _WRITING:
            self._happens(arguments[0])
        elif name in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"):
            self._happens(str(arguments[1] if name in ("os.rename", "os.link") else arguments[0]))

    def _happens(self, path: str) -> None:
        if path.startswith(self._folder):
            self._count()
            if self.count == self._number:
                number = getattr(errno, self._kind)
                raise OSError(number, os.strerror(number), path)

    def _commit(self) -> None:
        self._count()
        if self.count == self._number:
            said = "database or disk is full" if self._kind == "ENOSPC" else "disk I/O error"
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError(said))

    def _count(self) -> None:
        self.count += 1
        if self.count == self._number and self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


def commands(media: Path) -> dict[str, Callable[[Path], object]]:
    """Every command that writes, by its name."""
    encoder, texts = FakeEncoder(), media.parent / "more.txt"
    texts.write_text("a bird\na fish\n")
    return {
        "new": lambda library: index_videos(library, [media], encoder),
        "index": lambda library: index_videos(library, [media], encoder),
        "captions add": lambda library: add_captions(library, texts, encoder),
        "captions remove": lambda library: remove_captions(library, ["a cat"]),
        "tag": lambda library: tag_videos(library, [media / "1.mp4"], add=["blue"], remove=["animals"]),
        "remove": lambda library: remove_videos(library, [media / "3.mp4"]),
        "tune": lambda library: encode_again(library, APPROXIMATE_FROM),
        "repair": lambda library: repair_library(library, lambda: encoder),
        "model": lambda library: index_videos(library, [media], NEXT, to_model=True),
        "model back": lambda library: index_videos(library, [media], encoder, to_model=True),
        **({"export": lambda library: export_library(library, milvus_of(library))} if _has_milvus() else {}),
    }


def _has_milvus() -> bool:
    return importlib.util.find_spec("milvus_lite") is not None


def milvus_of(library: Path) -> str:
    return f"milvus://{library.parent / 'milvus' / f'{library.name}.db'}"


def in_milvus(library: Path) -> str:
    """What Milvus has of a library: the number of its live generation, and its ids."""
    from indexer.milvus.generations import MilvusStore

    with closing(MilvusStore.open(library, milvus_of(library))) as store:
        live = store.current()
        ids = {kind: [item for item in range(1, 40) if item in live.gallery(kind)] for kind in ("clips", "captions")}
        return json.dumps({"generation": live.name, **ids})


def in_child(work: Callable[[], str]) -> str:
    """What `work` gives in a process of its own, which may start servers and threads."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work().encode())
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def prepare(folder: Path) -> tuple[Path, Path]:
    """The library that most commands begin with, and videos that have changed since."""
    media, library, texts = folder / "media", folder / "before", folder / "texts.txt"
    for number in range(1, 6):
        write_stand_in(media / f"{number}.mp4", number)
    texts.write_text("a dog running\na cat\n")
    index_videos(library, [media], FakeEncoder())
    if _has_milvus():
        # An older generation, which the export of the live one replaces.
        (folder / "milvus").mkdir()
        in_child(lambda: _exported(library))
    add_captions(library, texts, FakeEncoder())
    tag_videos(library, [media / "1.mp4"], add=["animals"])
    write_stand_in(media / "new.mp4", 7)
    (media / "4.mp4").rename(media / "renamed.mp4")
    write_stand_in(media / "5.mp4", 8)
    return library, media


def _exported(library: Path) -> str:
    from milvus_lite.server_manager import server_manager_instance

    report = export_library(library, milvus_of(library))
    server_manager_instance.release_all()
    return report.generation


def begin(name: str, before: Path, library: Path, media: Path) -> None:
    """Put the library of a command in its place."""
    shutil.rmtree(library, ignore_errors=True)
    if name != "new":
        shutil.copytree(before, library)
    if name == "model back":
        index_videos(library, [media], NEXT, to_model=True)
    if name == "export":
        held = library.parent / "milvus" / "library.db"
        shutil.rmtree(held, ignore_errors=True)
        shutil.copytree(before.parent / "milvus" / f"{before.name}.db", held)
    if name == "repair":
        (library / "CURRENT").unlink()
        next(library.glob("generations/000003/clips/0000/entity.codes.npy")).unlink()
        next(library.glob("thumbnails/*/2.webp")).write_bytes(b"")


def faulty(name: str, command: Callable[[Path], object], library: Path, number: int, kind: str) -> tuple[int, bool]:
    """Run a command in a child in which operation `number` goes wrong; returns how many there were, -1 if it died,
    and whether it came to its end all the same, as where it copies a file that cannot be linked."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens here must not go on as a second parent.
        try:
            fault, done = Fault(library, number, kind), False
            if name == "export":
                fault.of_milvus()
            try:
                command(library)
                done = True
            finally:
                os.write(writer, f"{fault.count} {int(done)}".encode())
        except BaseException:
            pass
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    count, done = said.split() or (-1, 0)
    return int(count), bool(int(done))


def finish(name: str, command: Callable[[Path], object], library: Path) -> None:
    """Run a command undisturbed."""
    if name == "export":
        said = in_child(lambda: str(command(library)))
        assert said.startswith("ExportReport"), said
    else:
        command(library)


def state(name: str, library: Path) -> dict[str, object]:
    """Everything that a library holds, less ids and numbers; and what Milvus has after an export."""
    exported = {"milvus": in_child(lambda: in_milvus(library))} if name == "export" else {}
    with Library.open(library) as opened:
        clips, generation = opened.catalog.list_clips(limit=None), opened.current()
        found = {}
        for clip in clips:
            rows = generation.clips.vectors([clip.id])
            found[f"{clip.path.name} {clip.start}"] = b"".join(rows[name].tobytes() for name in sorted(rows)).hex()
        texts = opened.catalog.captions(generation.captions.ids.tolist())
        assert generation.clips.ids.tolist() == [clip.id for clip in clips], "index and catalogue differ"
        return {
            "clips": found,
            "captions": sorted(caption.text for caption in texts.values()),
            "tags": opened.catalog.tags(),
            "model": generation.model.fingerprint,
            **exported,
        }


def run(folder: Path, runs: int, seed: int, only: str | None = None) -> dict[str, object]:
    """Try `runs` faults, of one command if that is named; returns what came of them."""
    decode_stand_ins()
    before, media = prepare(folder)
    library, every, calm = folder / "library", [], {}
    for name, command in commands(media).items():
        if only not in (None, name):
            continue
        begin(name, before, library, media)
        count, _ = faulty(name, command, library, -1, "EIO")
        calm[name] = state(name, library)
        every += [(name, number, kind) for number in range(1, count + 1) for kind in FAULTS]
    chosen = every if runs >= len(every) else random.Random(seed).sample(every, runs)
    tried: Counter[str] = Counter()
    failures = []
    for name, number, kind in chosen:
        begin(name, before, library, media)
        _, done = faulty(name, commands(media)[name], library, number, kind)
        try:
            if exists(library) and name != "repair":
                Library.open(library).close()
            if not done:
                # It may have been killed after all was done, and there is nothing to remove then: the state tells.
                with suppress(InputError):
                    finish(name, commands(media)[name], library)
            assert state(name, library) == calm[name], "it does not hold what it holds after an undisturbed run"
            problems = [problem.detail for problem in verify_library(library) if problem.where != "videos"]
            assert problems == [], str(problems)
            tried[f"{name}: {kind}"] += 1
        except Exception as error:
            failures.append(f"{name} {number} {kind}: {type(error).__name__}: {str(error)[:500]}")
    return {"possible": len(every), "runs": len(chosen), "finished": tried, "failed": failures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20220914)
    parser.add_argument("--only", help="one command, as 'captions add'")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), options.runs, options.seed, options.only), indent=2))


if __name__ == "__main__":
    main()
