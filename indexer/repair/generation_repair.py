"""Making files of a generation again, byte for byte, out of what is left of it.

A file is copied from another generation that has the same, or written again from the ids and vectors of its segment,
some of which the caller may make again. Its checksum says whether it is the one that was lost. 4-bit codes depend
on more than that: they are not made here, but with a new generation.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.disk.durable_files import file_sha256, replace_by_copy, replace_file
from indexer.search.vectors.codes import encode
from indexer.search.vectors.gallery import segment_name
from indexer.search.vectors.row_source import Rows, RowSource, empty_rows, from_arrays, from_parts, joined
from indexer.search.vectors.segment import FRAMES_FILE, write_segment
from indexer.store.generation import KINDS, damaged_files, frames_of
from indexer.store.manifest import Manifest
from model.levels import FRAMES, FloatArray, FrameSpec, LevelSpec
from quartet.errors import LibraryError

Ids = npt.NDArray[np.int64]

_MADE_ELSEWHERE = (".pq.faiss", ".lists.faiss")
"""4-bit codes, and the inverted lists of formats before 6."""

Remake = Callable[[str, Ids], Rows]
"""remake(kind, ids) makes the vectors of items again: of as many of them as it can, with their ids, ascending."""


@dataclass(frozen=True)
class OnDisk:
    """A generation's folder and what its files should be."""

    folder: Path
    manifest: Manifest


@dataclass
class Healing:
    """Work on one generation.

    others  other generations of the same model
    known   per gallery, ids that the catalogue lists, ascending; `live` those of them that are not removed
    """

    of: OnDisk
    others: Sequence[OnDisk]
    known: Mapping[str, Ids]
    live: Mapping[str, Ids]
    remake: Remake
    healed: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Heal what can be healed; returns the names of the files that are still damaged."""
        self.copy_files()
        for kind in KINDS:
            for number in range(len(self.of.manifest.bounds[kind])):
                damaged = self.damaged()
                if any(name.startswith(f"{kind}/{segment_name(number)}/") for name in damaged):
                    self._segment(kind, number, damaged)
            self._removed(kind)
        return self.damaged()

    def rows(self, kind: str) -> RowSource:
        """The vectors of live items that are in sound files, here or in another generation."""
        found = self._sound(self.of, kind)
        for generation in self.others:
            more = self._sound(generation, kind)
            found = joined(found, more.only(np.setdiff1d(more.ids, found.ids, assume_unique=True)))
        return found.only(found.ids[np.isin(found.ids, self.live[kind])])

    def _sound(self, generation: OnDisk, kind: str) -> RowSource:
        """Everything of which a generation has sound vectors. They are mapped."""
        parts: list[Rows] = []
        if self._frames(kind) == frames_of(generation.manifest.frames, kind):
            bad = set(damaged_files(generation.folder, generation.manifest))
            columns = [f"{level.name}.faiss" for level in self._levels]
            columns += [FRAMES_FILE] if self._frames(kind) is not None else []
            for number in range(len(generation.manifest.bounds[kind])):
                base = f"{kind}/{segment_name(number)}"
                if bad.isdisjoint(f"{base}/{name}" for name in ("ids.npy", *columns)):
                    ids = np.load(generation.folder / base / "ids.npy")
                    if len(ids):  # else nothing can be mapped
                        parts.append((ids, self._stored(generation.folder / base, kind, len(ids))))
        return from_parts(parts, empty_rows(self._levels, self._frames(kind)))

    def _frames(self, kind: str) -> FrameSpec | None:
        """What the generation keeps of single frames in a gallery."""
        return frames_of(self.of.manifest.frames, kind)

    def _stored(self, folder: Path, kind: str, count: int) -> dict[str, npt.NDArray[Any]]:
        """All vectors of a segment whose files are sound."""
        found: dict[str, npt.NDArray[Any]] = {level.name: stored_rows(folder, level, count) for level in self._levels}
        kept = self._frames(kind)
        if kept is not None:
            found[FRAMES] = _stored_frames(folder, kept, count)
        return found

    @property
    def _levels(self) -> tuple[LevelSpec, ...]:
        return self.of.manifest.levels

    def damaged(self) -> list[str]:
        """The files that are still not what they should be."""
        return [name for name in damaged_files(self.of.folder, self.of.manifest) if name not in self.healed]

    def _put(self, name: str, content: bytes | Path) -> None:
        """Give a file what it should have, or what another file has."""
        path = self.of.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            replace_by_copy(path, content)
        else:
            replace_file(path, content)
        self.healed.append(name)

    def copy_files(self) -> None:
        """Take what is damaged from generations that have the same file."""
        for name in self.damaged():
            expected = self.of.manifest.checksums[name]
            for other in self.others:
                copy = other.folder / name
                if other.manifest.checksums.get(name) == expected and copy.is_file() and file_sha256(copy) == expected:
                    self._put(name, copy)
                    break

    def _removed(self, kind: str) -> None:
        name = f"{kind}/removed.npy"
        if name not in self.damaged():
            return
        try:
            rows = [np.load(path) for path in sorted((self.of.folder / kind).glob("*/ids.npy"))]
        except (OSError, ValueError):
            return
        every = np.concatenate([np.zeros(0, np.int64), *rows])
        self._try(name, np.setdiff1d(every, self.live[kind]))

    def _try(self, name: str, array: np.ndarray) -> None:
        content = io.BytesIO()
        np.save(content, array)
        if hashlib.sha256(content.getvalue()).hexdigest() == self.of.manifest.checksums[name]:
            self._put(name, content.getvalue())

    def _segment(self, kind: str, number: int, damaged: Sequence[str]) -> None:
        base = f"{kind}/{segment_name(number)}"
        folder = self.of.folder / base
        bad = {name for name in damaged if name.startswith(f"{base}/") and not name.endswith(_MADE_ELSEWHERE)}
        if not bad:
            return
        ids = self._ids(kind, number, f"{base}/ids.npy" in bad)
        if ids is None:
            return
        lost = [level.name for level in self._levels if f"{base}/{level.name}.faiss" in bad]
        vectors: dict[str, npt.NDArray[Any]] = {}
        missing = np.zeros(len(ids), dtype=np.bool_)
        for level in self._levels:
            rows, suspect = self._rows(folder, level, len(ids), level.name in lost)
            vectors[level.name] = rows
            missing |= suspect
        frames = self._frames(kind)
        if frames is not None and f"{base}/{FRAMES_FILE}" in bad:
            # Nothing tells which of its rows have changed.
            lost.append(FRAMES)
            vectors[FRAMES] = np.zeros((len(ids), frames.width), np.float16)
            missing[:] = True
        elif frames is not None:
            vectors[FRAMES] = _stored_frames(folder, frames, len(ids))
        self._borrow(kind, ids, vectors, lost, missing)
        for wanted in (missing, np.full(len(ids), bool(lost))):
            complete = self._fill(kind, ids, vectors, lost, wanted)
            if complete and self._write(base, ids, vectors, bad, frames):
                return

    def _ids(self, kind: str, number: int, lost: bool) -> Ids | None:
        """The ids of a segment: its file, or what the catalogue lists between the segments next to it."""
        folder = self.of.folder / kind
        if not lost:
            return np.asarray(np.load(folder / segment_name(number) / "ids.npy"))
        beside = {}
        for other in (number - 1, number + 1):
            try:
                beside[other] = np.load(folder / segment_name(other) / "ids.npy")
            except (OSError, ValueError):
                beside[other] = np.zeros(0, np.int64)
        first = beside[number - 1][-1] if len(beside[number - 1]) else -1
        last = beside[number + 1][0] if len(beside[number + 1]) else np.iinfo(np.int64).max
        known = self.known[kind]
        for candidates in (self.live[kind], known):
            chosen = candidates[(candidates > first) & (candidates < last)]
            if self._is(f"{kind}/{segment_name(number)}/ids.npy", chosen):
                return chosen
        return None

    def _is(self, name: str, array: np.ndarray) -> bool:
        self._try(name, array)
        return name in self.healed

    def _rows(self, folder: Path, level: LevelSpec, count: int, lost: bool) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """The vectors of one level as far as they can be read, and which of them are surely not as they were."""
        try:
            rows = stored_rows(folder, level, count)
        except (OSError, ValueError):
            return np.zeros((count, level.dim), np.float32), np.ones(count, dtype=np.bool_)
        if not lost:
            return rows, np.zeros(count, dtype=np.bool_)
        rows = rows.copy()
        try:
            # The codes of a row that has changed are, but for the smallest changes, others.
            with np.errstate(all="ignore"):
                codes, scales = encode(rows)
            stored = np.load(folder / f"{level.name}.codes.npy"), np.load(folder / f"{level.name}.scales.npy")
            return rows, (codes != stored[0]).any(axis=1) | (scales != stored[1])
        except (OSError, ValueError):
            return rows, np.ones(count, dtype=np.bool_)

    def _borrow(
        self,
        kind: str,
        ids: Ids,
        vectors: dict[str, npt.NDArray[Any]],
        lost: Sequence[str],
        missing: npt.NDArray[np.bool_],
    ) -> None:
        """Take rows of lost files from other generations, where these are sound."""
        for other in self.others if lost else ():
            theirs = Healing(other, (), self.known, self.known, self.remake).rows(kind)
            here = np.isin(ids, theirs.ids)
            rows = theirs.read(ids[here])
            if not set(lost) <= set(rows):
                continue  # it keeps no frames
            for name in lost:
                vectors[name][here] = rows[name]
            missing[here] = False

    def _fill(
        self,
        kind: str,
        ids: Ids,
        vectors: dict[str, npt.NDArray[Any]],
        lost: Sequence[str],
        wanted: npt.NDArray[np.bool_],
    ) -> bool:
        """Make the wanted rows of lost files again; returns whether all could be made."""
        if not wanted.any():
            return True
        made, rows = self.remake(kind, ids[wanted])
        if len(made) != wanted.sum():
            return False
        for name in lost:
            vectors[name][wanted] = rows[name]
        return True

    def _write(
        self, base: str, ids: Ids, vectors: Mapping[str, npt.NDArray[Any]], bad: set[str], frames: FrameSpec | None
    ) -> bool:
        """Write the segment aside and take the files that have come out as they were; whether all have."""
        aside = self.of.folder.parent / ".repair.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            write_segment(aside, self._levels, from_arrays(ids, vectors), frames)
            for name in sorted(bad):
                made = aside / Path(name).name
                if file_sha256(made) == self.of.manifest.checksums[name]:
                    self._put(name, made)
        except LibraryError:
            return False  # a vector that is not finite: what was read of it is damaged
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return bad <= set(self.healed)


def heal_by_copies(of: OnDisk, others: Sequence[OnDisk]) -> tuple[list[str], list[str]]:
    """Take damaged files of a generation from others that have the same; returns those healed and those left."""
    nothing: dict[str, Ids] = {}
    work = Healing(of, others, nothing, nothing, lambda kind, ids: empty_rows(of.manifest.levels))
    work.copy_files()
    return work.healed, work.damaged()


def stored_rows(folder: Path, level: LevelSpec, count: int) -> FloatArray:
    """The vectors of a level, mapped: the last bytes of a segment's file, whatever is before. Raises OSError,
    ValueError."""
    path = folder / f"{level.name}.faiss"
    begin = path.stat().st_size - 4 * count * level.dim
    if begin < 0:
        raise ValueError(f"{path} is too short")
    # Nothing cannot be mapped.
    rows = np.memmap(path, "<f4", "r", begin, (count, level.dim)) if count else np.zeros((0, level.dim), np.float32)
    return np.asarray(rows)


def _stored_frames(folder: Path, kept: FrameSpec, count: int) -> npt.NDArray[np.float16]:
    """As `stored_rows`, of single frames."""
    mapped = np.load(folder / FRAMES_FILE, mmap_mode="r" if count else None)
    return np.asarray(mapped).reshape(count, kept.width)
