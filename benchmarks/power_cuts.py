"""What a power cut leaves of a library, at every moment of its life: `python -m benchmarks.power_cuts --states 1000`.

A run that makes a library, indexes, indexes again, adds captions, tags, removes, tunes and changes the model is
recorded under strace: every write, rename, link, truncation, removal and flush below the library's folder. Before each
flush the power is cut: what had been flushed is there, and of the rest what POSIX allows. That is nothing, everything,
all names without their content, or any part of it, writes torn at sectors and in any order. Each such library must
open, have every video once that had been reported done, be healed by `repair`, and end, indexed again, with the vectors
of an undisturbed run.

Needs `strace` and the right to trace. Videos are stand-ins (`benchmarks.stand_in_videos`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stand_in_videos import clips_in, decode_stand_ins, write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.pipeline.progress import Progress
from indexer.repair.library_repair import repair_library
from indexer.search.approximate.encoding import APPROXIMATE_FROM
from indexer.store.layout import exists
from indexer.store.library import Library
from indexer.store.management import remove_videos, tag_videos
from indexer.store.manifest import Manifest
from indexer.store.publishing import encode_anew
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions, remove_captions
from model.fake_encoder import FakeEncoder
from quartet.errors import LibraryError

_CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir"
_CALLS += ",ftruncate,link,linkat,lseek,fallocate"

NEXT = FakeEncoder(1, dim=24)
"""The model that the library is changed to."""

_MEMORY = Path("/dev/shm")
"""Where libraries are looked at after a cut: no flush is waited for there."""

_SECTOR = 512
"""Bytes that a disk writes whole."""

MODES = ("nothing", "everything", "names", "some", "some", "some")
"""How much of the data that was not flushed survives the cut."""


def live(library: Path, media: Path, tell: int) -> None:
    """The recorded life of a library. What has been reported done is written to the file descriptor `tell`."""
    encoder, texts = FakeEncoder(), media.parent / "texts.txt"

    def done(progress: Progress) -> None:
        # Parts of long files are told too, before the file is done.
        if progress.path is not None and progress.worked > reported[-1]:
            os.write(tell, f"done {progress.path.name}\n".encode())
            reported.append(progress.worked)

    reported = [0]
    index_videos(library, [media], encoder, on_progress=done)
    reported = [0]
    texts.write_text("a dog running\na cat\n")
    add_captions(library, texts, encoder)
    os.write(tell, b"caption a cat\n")
    tag_videos(library, [media / "1.mp4"], add=["animals"])
    os.write(tell, b"tag animals\n")
    write_stand_in(media / "7.mp4", 7)
    (media / "4.mp4").rename(media / "renamed.mp4")
    index_videos(library, [media], encoder, on_progress=done)
    os.write(tell, b"gone 2.mp4\n")
    remove_videos(library, [media / "2.mp4"])
    (media / "2.mp4").unlink()
    remove_captions(library, ["a dog running"])
    encode_anew(library, APPROXIMATE_FROM)
    index_videos(library, [media], NEXT, to_model=True)


@dataclass
class Recording:
    """What happened below a folder, by inode. Events are (what, inode or entries, details)."""

    root: str
    events: list[tuple] = field(default_factory=list)
    _inodes: dict[str, int] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        self._inodes[self.root] = 0

    def read(self, trace: Path, tell: Path) -> Recording:
        """Take in the output of strace."""
        pending: dict[str, str] = {}
        with trace.open(encoding="ascii") as lines:
            for line in lines:
                process, _, rest = line.rstrip("\n").partition(" ")
                rest = rest.lstrip()
                if rest.endswith("<unfinished ...>"):
                    pending[process] = rest.removesuffix("<unfinished ...>")
                    continue
                if rest.startswith("<... "):
                    rest = pending.pop(process, "") + rest.partition(" resumed>")[2]
                self._call(rest, str(tell))
        return self

    def _call(self, text: str, tell: str) -> None:
        found = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", text)
        if found is None or int(found[3]) < 0:
            return
        name, arguments, result = found[1], found[2], int(found[3])
        paths = [_decoded(each).decode() for each in re.findall(r"<([^<>]*)>", arguments)]
        strings = [_decoded(each) for each in re.findall(r'"([^"]*)"', arguments)]
        handle = int(re.match(r"(-?\d+)", arguments)[1]) if re.match(r"\d+<", arguments) else -1
        path = paths[0] if paths else ""
        if name == "openat":
            opened = _decoded(re.search(r"= \d+<([^<>]*)>", text)[1]).decode() if re.search(r"= \d+<", text) else ""
            self._offsets[result] = 0
            if self._ours(opened) and opened not in self._inodes and "O_CREAT" in arguments:
                self._link(opened, self._new())
            if self._ours(opened) and "O_TRUNC" in arguments:
                self.events.append(("truncate", self._inodes[opened], 0))
        elif name in ("write", "pwrite64") and path == tell:
            self.events.append(("told", None, strings[0].decode()))
        elif name in ("write", "pwrite64", "writev"):
            content = b"".join(strings)
            place = int(arguments.rsplit(",", 1)[1]) if name == "pwrite64" else self._offsets.get(handle, 0)
            if name != "pwrite64":
                self._offsets[handle] = place + result
            if path in self._inodes:
                self.events.append(("write", self._inodes[path], place, content[:result]))
        elif name == "lseek":
            self._offsets[handle] = result
        elif name in ("fsync", "fdatasync") and path in self._inodes:
            self.events.append(("flush", self._inodes[path]))
        elif name == "ftruncate" and path in self._inodes:
            self.events.append(("truncate", self._inodes[path], int(arguments.rsplit(",", 1)[1])))
        elif name.startswith(("rename", "link", "unlink", "rmdir", "mkdir")):
            self._names(name, [self._absolute(each, arguments) for each in strings], result)

    def _names(self, name: str, places: list[str], result: int) -> None:
        if name.startswith("mkdir") and self._ours(places[0]):
            self._link(places[0], self._new())
        elif name.startswith(("unlink", "rmdir")) and places[0] in self._inodes:
            self._entries([(places[0], None)])
            del self._inodes[places[0]]
        elif name.startswith("link") and self._ours(places[1]) and places[0] in self._inodes:
            self._link(places[1], self._inodes[places[0]])
        elif name.startswith("rename") and places[0] in self._inodes:
            old, new = places
            moved = {path: inode for path, inode in self._inodes.items() if path == old or path.startswith(f"{old}/")}
            self._entries([(old, None), (new, self._inodes[old])])
            for path, inode in moved.items():
                del self._inodes[path]
                self._inodes[new + path[len(old) :]] = inode

    def _absolute(self, path: bytes, arguments: str) -> str:
        text = path.decode()
        if text.startswith("/"):
            return text
        folder = re.search(r"\d+<([^<>]*)>", arguments)
        return f"{_decoded(folder[1]).decode()}/{text}" if folder else text

    def _ours(self, path: str) -> bool:
        return path.startswith(f"{self.root}/") and not path.endswith("-shm")

    def _new(self) -> int:
        self._made += 1
        return self._made

    def _link(self, path: str, inode: int) -> None:
        self._inodes[path] = inode
        self._entries([(path, inode)])

    def _entries(self, changes: list[tuple[str, int | None]]) -> None:
        places = [(self._inodes[str(Path(path).parent)], Path(path).name, inode) for path, inode in changes]
        self.events.append(("entries", places))


def _decoded(text: str) -> bytes:
    """What strace has written as \\x41\\x42."""
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def record(folder: Path) -> tuple[Recording, Path]:
    """Let a library live in `folder` under strace; returns what happened, and the videos as they are at the end."""
    library, media, tell, trace = (folder / name for name in ("library", "media", "told", "trace"))
    library.mkdir()
    for number in range(1, 5):
        write_stand_in(media / f"{number}.mp4", number)
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-y", "-s", str(2**26), "-o", str(trace)]
    command += ["-e", f"trace={_CALLS}", "-e", "signal=none"]
    command += [sys.executable, "-m", "benchmarks.power_cuts", "--live", str(folder)]
    tell.touch()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"})
    return Recording(str(library)).read(trace, tell), media


def cut(events: list[tuple], moment: int, mode: str, rng: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """(path below the library, content or None for a folder) of what a disk may hold if the power fails at `moment`."""
    flushed: dict[int, int] = {}
    for number, event in enumerate(events[:moment]):
        if event[0] == "flush":
            flushed[event[1]] = number
    contents: dict[int, bytearray] = {}
    folders: dict[int, dict[str, int]] = {0: {}}
    for number, event in enumerate(events[:moment]):
        if event[0] == "entries":
            # A rename is one change; it is safe when the folder of its new name has been flushed.
            safe = flushed.get(event[1][-1][0], -1) > number
            if safe or mode in ("everything", "names") or (mode == "some" and rng.random() < 0.5):
                for folder, name, inode in event[1]:
                    held = folders.setdefault(folder, {})
                    if inode is None:
                        held.pop(name, None)
                    else:
                        held[name] = inode
        elif event[0] in ("write", "truncate"):
            safe = flushed.get(event[1], -1) > number
            if safe or mode == "everything" or (mode == "some" and rng.random() < 0.5):
                _apply(contents.setdefault(event[1], bytearray()), event, None if safe else rng, mode)
    is_folder = {inode for event in events if event[0] == "entries" for inode, _, _ in event[1]}

    def below(folder: int, prefix: str) -> Iterator[tuple[str, bytes | None]]:
        for name, inode in folders.get(folder, {}).items():
            if inode in is_folder:
                yield f"{prefix}{name}", None
                yield from below(inode, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", bytes(contents.get(inode, b""))

    return below(0, "")


def _apply(content: bytearray, event: tuple, rng: random.Random | None, mode: str) -> None:
    if event[0] == "truncate":
        length = event[2]
        content[:] = content[:length] + bytes(max(0, length - len(content)))
        return
    _, _, place, data = event
    if rng is not None and mode == "some" and rng.random() < 0.3:
        data = data[: rng.randrange(len(data) // _SECTOR + 1) * _SECTOR]
    if len(content) < place + len(data):
        content.extend(bytes(place + len(data) - len(content)))
    content[place : place + len(data)] = data


def vectors(library: Path) -> dict[str, list[str]]:
    """Per file name the vectors of its clips, in their order, and the captions and tags."""
    found: dict[str, list[str]] = {}
    with Library.open(library) as opened:
        clips, gallery = opened.catalog.list_clips(limit=None), opened.current().clips
        assert gallery.ids.tolist() == [clip.id for clip in clips]
        for clip in clips:
            rows = gallery.vectors([clip.id])
            found.setdefault(clip.path.name, []).append(b"".join(rows[name].tobytes() for name in sorted(rows)).hex())
    return found


def check(library: Path, media: Path, told: list[str], calm: dict[str, list[str]]) -> str:
    """Raises AssertionError unless a library that a power cut has left is as it must be; returns what it was."""
    encoder = FakeEncoder()
    if not exists(library):
        assert not told, "a library that had been reported is gone"
        index_videos(library, [media], encoder)
        assert vectors(library) == calm
        return "not made yet"
    state, problems = "sound", [each for each in verify_library(library) if each.where != "videos"]
    try:
        with Library.open(library) as opened:
            opened.current()
    except LibraryError as error:
        assert problems, f"verify has not found why it does not open: {error}"
        state = "does not open"
    if problems:
        state = "does not open" if state == "does not open" else f"damaged: {problems[0].where}"
        report = repair_library(library, lambda: NEXT if _model(library) == NEXT.spec.fingerprint else encoder)
        left = [each.detail for each in verify_library(library) if each.where != "videos"]
        assert left == [], f"after the repair {left} of {[p.detail for p in problems]}, {report}"
    _reported(library, told)
    (media.parent / "texts.txt").write_text("a cat\n")
    index_videos(library, [media], encoder, to_model=True)
    assert vectors(library) == calm, "the vectors are not those of an undisturbed run"
    assert verify_library(library) == []
    return state


def _model(library: Path) -> str:
    """The fingerprint of the model of the newest generation whose manifest can be read."""
    for file in sorted(library.glob("generations/*/manifest.json"), reverse=True):
        try:
            return Manifest.read(file).model.fingerprint
        except LibraryError:
            continue
    return ""


def _reported(library: Path, told: list[str]) -> None:
    """Everything that was reported done is there, once."""
    with Library.open(library) as opened:
        names = Counter(video.path.name for video in opened.catalog.list_videos(limit=None))
        texts = {caption.text for caption in opened.catalog.list_captions()}
        tags = opened.catalog.tags()
    gone = {line.partition(" ")[2] for line in told if line.startswith("gone")}
    for line in told:
        kind, _, what = line.partition(" ")
        if kind == "done" and what not in gone and what != "4.mp4":  # which is renamed in the second run
            assert names[what] == 1, f"{what} was reported done and is there {names[what]} times"
        elif kind == "caption":
            assert what in texts, f"the caption {what} was reported"
        elif kind == "tag":
            assert what in tags, f"the tag {what} was reported"
    assert all(count == 1 for count in names.values())


def run(folder: Path, states: int, seed: int) -> dict[str, object]:
    """Record, cut and check; returns what was found."""
    decode_stand_ins()
    recording, media = record(folder)
    calm_library = folder / "calm"
    index_videos(calm_library, [media], FakeEncoder())
    calm = vectors(calm_library)
    assert all(len(calm[path.name]) == clips_in(path) for path in media.iterdir())
    events = recording.events
    moments = [number for number, event in enumerate(events) if event[0] == "flush"] + [len(events)]
    rng = random.Random(seed)
    every = [(moment, mode) for moment in moments for mode in MODES]
    chosen = every * (states // len(every)) + rng.sample(every, states % len(every))
    found: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as cuts:
        library = Path(cuts) / "library"
        for number, (moment, mode) in enumerate(chosen):
            shutil.rmtree(library, ignore_errors=True)
            library.mkdir()
            for name, content in cut(events, moment, mode, random.Random(f"{seed}/{number}")):
                if content is None:
                    (library / name).mkdir(exist_ok=True)
                else:
                    (library / name).write_bytes(content)
            told = [line for event in events[:moment] if event[0] == "told" for line in event[2].splitlines()]
            try:
                found[check(library, media, told, calm)] += 1
            except Exception as error:
                failures.append(f"{moment} {mode} {number}: {type(error).__name__}: {error}")
    return {
        "flushes": len(moments) - 1,
        "events": len(events),
        "states": len(chosen),
        "found": found,
        "failed": failures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20220914)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live is not None:
        decode_stand_ins()
        with (options.live / "told").open("ab", buffering=0) as tell:
            live(options.live / "library", options.live / "media", tell.fileno())
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), options.states, options.seed), indent=2))


if __name__ == "__main__":
    main()
