"""A segment: the vectors of some items at every level, written once, memory-mapped, read-only.

ids.npy            int64 (n,), ascending
present.npy        bool (n, L): whether an item has a level at all (its row is not zero)
LEVEL.faiss        IndexFlatIP of dimension d_l, rows in the order of ids.npy: the vectors
LEVEL.codes.npy    int8 (n, d_l) and LEVEL.scales.npy float32 (n,): the same rows in 8 bits, for the scan
LEVEL.pq.faiss     IndexPQ of the same rows, in 4 bits (`vectors.product_codes`); only in large galleries
frames.npy         float16 (n, count, dim): vectors of single frames; only where the library keeps them
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from indexer.disk.durable_files import write_array
from indexer.search.vectors.codes import Bounds, Codes, encode, residuals
from indexer.search.vectors.row_source import RowSource
from model.levels import FRAMES, FloatArray, FrameSpec, LevelSpec
from quartet.errors import LibraryError

FRAMES_FILE = "frames.npy"

_MAX_ROWS_READ = 2048
"""So many rows are read one by one rather than through the mapped file, of which every row would pull in 64 kB."""

_SMALL = 1 << 24
"""Bytes of a mapped file up to which that does not matter: 16,000 rows of 256 numbers."""


class NotFiniteError(LibraryError):
    """A vector that is to be written holds NaN or infinity."""


class Segment:
    """The files of a segment, opened. Safe to read from many threads.

    codes     {level: int8 (n, d_l)}, scales {level: float32 (n,)}: see `indexer.search.vectors.codes`
    pq        {level: IndexPQ}, the 4-bit rows; empty in a small gallery
    frames    float16 (n, count, dim), or None
    """

    def __init__(
        self,
        folder: Path,
        ids: npt.NDArray[np.int64],
        present: npt.NDArray[np.bool_],
        raw: Mapping[str, Any],
        codes: Mapping[str, Codes],
        scales: Mapping[str, FloatArray],
        pq: Mapping[str, Any],
        bounds: Mapping[str, Bounds],
        frames: npt.NDArray[np.float16] | None = None,
    ) -> None:
        self.folder = folder
        self.frames = frames
        self.ids = ids
        self.present = present
        self.codes = dict(codes)
        self.scales = dict(scales)
        self.pq = dict(pq)
        self.bounds = dict(bounds)
        self._raw = dict(raw)
        self._small = {level for level, index in raw.items() if 4 * index.ntotal * index.d <= _SMALL}
        self._views: dict[str, npt.NDArray[np.uint8]] = {}
        self._files: dict[str, int] = {}
        about = {level: (folder / product_codes_name(level)).stat() for level in pq}
        self._pq_files = {level: (own.st_dev, own.st_ino) for level, own in about.items()}
        # Files that are replaced on disk stay readable, as those that are mapped do.
        weakref.finalize(self, _close, self._files)
        for level in raw:
            self._files[level] = os.open(folder / f"{level}.faiss", os.O_RDONLY)

    def __len__(self) -> int:
        return len(self.ids)

    def file_id(self, level: str) -> tuple[int, int]:
        """What tells the file of a level's vectors from all others, as long as this segment is open."""
        about = os.fstat(self._files[level])
        return about.st_dev, about.st_ino

    def product_codes_id(self, level: str) -> tuple[int, int]:
        """As `file_id`, of its 4-bit rows."""
        return self._pq_files[level]

    def dim(self, level: str) -> int:
        return int(self._raw[level].d)

    def rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """A copy of the stored vectors of one level at row numbers: (len(positions), d_l) float32."""
        index = self._raw[level]
        if len(positions) > _MAX_ROWS_READ or level in self._small:
            return self._mapped(level)[positions].view(np.float32)
        # The vectors are the end of the file.
        file, width = self._files[level], 4 * index.d
        start = os.fstat(file).st_size - index.ntotal * width
        read = bytearray().join([os.pread(file, width, start + position * width) for position in positions.tolist()])
        if len(read) != len(positions) * width:
            raise LibraryError(f"The library is damaged: {self.folder / level}.faiss is too short.")
        return np.frombuffer(read, dtype=np.float32).reshape(len(positions), index.d)

    def _mapped(self, level: str) -> npt.NDArray[np.uint8]:
        """A FAISS file's header leaves the mapped rows unaligned: as bytes they are copied row by row."""
        if level not in self._views:
            import faiss

            index = self._raw[level]
            mapped = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).view(np.uint8)
            self._views[level] = mapped.reshape(index.ntotal, 4 * index.d)
        return self._views[level]

    def coded_rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """The codes of one level at row numbers: (len(positions), d_l), as float32."""
        return self.codes[level][positions].astype(np.float32)

    def code_scales(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        """Their scales: (len(positions),)."""
        return self.scales[level][positions]


def _close(files: dict[str, int]) -> None:
    for file in files.values():
        os.close(file)


def open_segment(
    folder: Path, levels: Sequence[LevelSpec], bounds: Mapping[str, Bounds], kept: FrameSpec | None = None
) -> Segment:
    """Map a segment into memory. Raises LibraryError if its files do not fit each other."""
    import faiss

    flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY
    try:
        ids = np.load(folder / "ids.npy")
        present = np.load(folder / "present.npy")
        raw = {spec.name: faiss.read_index(str(folder / f"{spec.name}.faiss"), flags) for spec in levels}
        # NumPy cannot map an array without elements.
        mode: Literal["c"] | None = "c" if len(ids) else None
        # As plain arrays: indexing a `numpy.memmap` costs more than the rows.
        codes = {s.name: np.load(folder / f"{s.name}.codes.npy", mode).view(np.ndarray) for s in levels}
        scales = {s.name: np.load(folder / f"{s.name}.scales.npy", mode).view(np.ndarray) for s in levels}
        paths = {spec.name: folder / product_codes_name(spec.name) for spec in levels}
        pq = {name: faiss.read_index(str(path), flags) for name, path in paths.items() if path.exists()}
        frames = None if kept is None else np.load(folder / FRAMES_FILE, mode).view(np.ndarray)
        segment = Segment(folder, ids, present, raw, codes, scales, pq, bounds, frames)
    except (OSError, ValueError, RuntimeError) as error:
        raise LibraryError(f"The vectors in {folder} cannot be opened: {error}") from error
    fits = all(
        (raw[s.name].ntotal, raw[s.name].d) == codes[s.name].shape == (len(ids), s.dim)
        and scales[s.name].shape == (len(ids),)
        and (s.name not in pq or pq[s.name].ntotal == len(ids))
        for s in levels
    )
    if kept is not None and frames is not None:
        fits = fits and frames.shape == (len(ids), kept.count, kept.dim) and frames.dtype == np.float16
    if not fits or present.shape != (len(ids), len(levels)):
        raise LibraryError(f"The files in {folder} disagree on the number or the size of the vectors.")
    return segment


def product_codes_name(level: str) -> str:
    """The file of a level's 4-bit rows."""
    return f"{level}.pq.faiss"


def write_segment(
    folder: Path, levels: Sequence[LevelSpec], rows: RowSource, kept: FrameSpec | None = None
) -> dict[str, Bounds]:
    """Write the vectors of a segment, a block at a time; returns the bounds of every level.

    kept  what is kept of single frames, which are then among the vectors

    Raises NotFiniteError if a vector holds NaN or infinity: it would poison every search.
    """
    folder.mkdir(parents=True)
    present = np.zeros((len(rows), len(levels)), dtype=np.bool_)
    with ExitStack() as files:
        writers = [files.enter_context(_LevelWriter(folder, spec, len(rows))) for spec in levels]
        frames = None if kept is None else files.enter_context((folder / FRAMES_FILE).open("wb"))
        if frames is not None and kept is not None:
            _write_header(frames, np.float16, (len(rows), kept.count, kept.dim))
        done = 0
        for ids, vectors in rows.blocks():
            for column, writer in enumerate(writers):
                own = np.ascontiguousarray(vectors[writer.level], dtype=np.float32)
                writer.add(ids, own)
                present[done : done + len(ids), column] = own.any(axis=1)
            if frames is not None:
                frames.write(np.ascontiguousarray(vectors[FRAMES], dtype=np.float16).data)
            done += len(ids)
    write_array(rows.ids, folder / "ids.npy")
    write_array(present, folder / "present.npy")
    return {writer.level: writer.bounds() for writer in writers}


class _LevelWriter:
    """LEVEL.faiss, LEVEL.codes.npy and LEVEL.scales.npy of `count` rows that come in blocks."""

    def __init__(self, folder: Path, spec: LevelSpec, count: int) -> None:
        self.level = spec.name
        self._folder = folder
        self._largest = self._lost = self._ratio = 0.0
        self._scales: list[FloatArray] = []
        # Not a memory map: writing to one on a full disk kills the process (SIGBUS).
        with ExitStack() as files:
            self._raw = files.enter_context((folder / f"{spec.name}.faiss").open("wb"))
            self._codes = files.enter_context((folder / f"{spec.name}.codes.npy").open("wb"))
            self._raw.write(flat_header(spec.dim, count))
            _write_header(self._codes, np.int8, (count, spec.dim))
            self._files = files.pop_all()

    def __enter__(self) -> _LevelWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._files.close()

    def add(self, ids: npt.NDArray[np.int64], rows: FloatArray) -> None:
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
        if not np.isfinite(norms).all():
            bad = int(ids[~np.isfinite(norms)][0])
            raise NotFiniteError(f"The {self.level} vector of item {bad} contains NaN or infinity. Check the model.")
        codes, scales = encode(rows)
        lost = residuals(rows, codes, scales)
        self._raw.write(rows.astype("<f4", copy=False).data)
        self._codes.write(codes.data)
        self._scales.append(scales)
        self._largest = max(self._largest, float(norms.max()))
        self._lost, self._ratio = max(self._lost, float(lost.max())), max(self._ratio, float((lost / scales).max()))

    def bounds(self) -> Bounds:
        """Of all rows. Ends the writing."""
        scales = np.concatenate([np.zeros(0, np.float32), *self._scales])
        write_array(scales, self._folder / f"{self.level}.scales.npy")
        # One part in 2**40 covers the rounding of the measurements themselves.
        slack = 1 + 2**-40
        return Bounds(self._largest * slack, self._lost * slack, self._ratio * slack)


def _write_header(file: BinaryIO, kind: type, shape: tuple[int, ...]) -> None:
    """Begin a .npy file, whose rows follow."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def flat_header(dim: int, count: int) -> bytes:
    """What a file of `IndexFlatIP` begins with; `count` rows of float32 follow.

    FAISS counts the rows 8 bytes from the start, and their numbers in the last 8 bytes.
    """
    import faiss

    empty = faiss.serialize_index(faiss.IndexFlatIP(dim)).tobytes()
    return empty[:8] + count.to_bytes(8, "little") + empty[16:-8] + (count * dim).to_bytes(8, "little")


def link_segment(old: Path, new: Path, product_codes: bool) -> None:
    """Give the files of a segment, which never change, a second name; copy where the file system has no links.

    The 4-bit rows only with `product_codes`. The inverted lists of formats before 6 are left behind.
    """
    new.mkdir(parents=True)
    for path in old.iterdir():
        if path.name.endswith(".lists.faiss") or (path.name.endswith(product_codes_name("")) and not product_codes):
            continue
        try:
            (new / path.name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, new / path.name)
