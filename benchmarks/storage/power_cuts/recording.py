"""What a process does to the files below a folder, as strace tells it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.storage.stand_in_videos import write_stand_in

_CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir"
_CALLS += ",ftruncate,link,linkat,lseek,fallocate"


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
    command += [sys.executable, "-m", "benchmarks.storage.power_cuts", "--live", str(folder)]
    tell.touch()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"})
    return Recording(str(library)).read(trace, tell), media
