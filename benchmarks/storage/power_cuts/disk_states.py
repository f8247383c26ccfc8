"""What a disk may hold after a power cut, of what a recording says was done to it until then."""

from __future__ import annotations

import random
from collections.abc import Iterator

_SECTOR = 512
"""Bytes that a disk writes whole."""

MODES = ("nothing", "everything", "names", "some", "some", "some")
"""How much of the data that was not flushed survives the cut."""


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
