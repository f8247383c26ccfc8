"""The scan of 8-bit rows on the CPU, in machine code and on all cores (`indexer.search.exact.kernel`).

Compiling takes some seconds of a core. A process that asks once, like a command, is done before that; one that keeps
asking large galleries, like the service, compiles during its first searches, which `exact.exhaustive` meanwhile
answers with PyTorch. Either way keeps every row that may be among the first k, so the answers are the same.
"""

from __future__ import annotations

import importlib
import itertools
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from indexer.search.question import Question, fused_error, own_error
from indexer.search.survivors import Survivors
from indexer.search.threads import cores, threads
from indexer.search.vectors.codes import code_errors, encode_queries, margins

if TYPE_CHECKING:
    from indexer.search.vectors.gallery import Gallery

_MIN_ROWS_COMPILED = 10_000
"""Rows from which a gallery is worth compiling for."""

_MIN_SCANS_COMPILED = 3
"""Scans of a large gallery after which a process is taken for one that keeps asking."""

_PRODUCTS_PER_THREAD = 1 << 24
"""Multiplications that are worth another thread: half a millisecond."""

_searches = itertools.count(1)
_log = logging.getLogger(__name__)


def compiled_kernel(rows: int, wait: bool = False) -> ModuleType | None:
    """`exact.kernel`, once it is compiled; `rows`, those of the gallery that is searched, may set that off.

    wait  compile now, if need be
    """
    if wait:
        return _compilation().result()
    if rows >= _MIN_ROWS_COMPILED and next(_searches) > _MIN_SCANS_COMPILED:
        _compilation()
    if not _compilation.cache_info().currsize:
        return None
    future = _compilation()
    return future.result() if future.done() and future.exception() is None else None


def prepare(gallery: object) -> None:
    """Compile now, for a process that will keep asking, if the scans of `gallery` are worth it.

    During searches it takes longer, and takes Python's lock from them: a search may then last half a second.
    """
    from indexer.search.vectors.gallery import Gallery

    if isinstance(gallery, Gallery) and gallery.resident.device == "cpu" and len(gallery) >= _MIN_ROWS_COMPILED:
        _compilation().exception()  # `_report` says that it failed


@cache
def _compilation() -> Future[ModuleType]:
    # A thread of its own: no search may wait for it.
    compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")
    future = compiler.submit(importlib.import_module, "indexer.search.exact.kernel")
    future.add_done_callback(_report)
    compiler.shutdown(wait=False)
    return future


def _report(future: Future[ModuleType]) -> None:
    if error := future.exception():
        _log.warning("Numba failed, so exact searches run at half the speed: %s", error)


def scan_codes(
    kernel: ModuleType,
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int = 0,
) -> list[Survivors]:
    """What `exhaustive.scan` gives, of a gallery whose rows are on the CPU, and between what the scores are."""
    found = _scanned(kernel, gallery, question, k, allowed, skip)
    return [_merge([share[i] for share in found], k) for i in range(len(question))]


def limits_of_all(
    kernel: ModuleType, gallery: Gallery, question: Question
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Between what all rows of such a gallery score, as `exhaustive.row_limits`."""
    rows = len(gallery.row_ids)
    low, high = np.full((2, len(question), rows), -np.inf)
    # Of all rows none is out of reach.
    for share in _scanned(kernel, gallery, question, rows, None, 0):
        for i, own in enumerate(share):
            low[i, own.rows], high[i, own.rows] = own.low, own.high
    return low, high


def _scanned(
    kernel: ModuleType,
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int,
) -> list[list[Survivors]]:
    """What each thread has found for each query."""
    parts = [part for part in gallery.parts() if part[0] >= skip]
    coded = _CodedQuestion(kernel, gallery, question)
    rows = sum(len(segment) for _, _, segment in parts)
    shares = _shares(rows * sum(spec.dim for _, spec in question.used) * len(question))
    # Several pieces per thread, so that all of them end together.
    size = -(-rows // (4 * shares if shares > 1 else 1))
    pieces = deque(
        (place, start, first, min(first + size, len(segment)))
        for place, start, segment in parts
        for first in range(0, len(segment), size)
    )
    helpers = [threads().submit(coded.take, pieces, k, allowed) for _ in range(shares - 1)]
    found = [coded.take(pieces, k, allowed)]
    # Where other searches keep the threads busy, a helper that has not begun has nothing left to do.
    return [*found, *(helper.result() for helper in helpers if not helper.cancel())]


def _shares(multiplications: int) -> int:
    return max(1, min(cores(), multiplications // _PRODUCTS_PER_THREAD))


Piece = tuple[int, int, int, int]
"""(segment, its first row in the gallery, rows of the segment from .. to)."""


class _CodedQuestion:
    """A question as the kernel takes it, and the gallery."""

    def __init__(self, kernel: ModuleType, gallery: Gallery, question: Question) -> None:
        count, levels = len(question), kernel.LEVELS
        # Several queries are filled up with some of no weight, which nothing answers.
        size = count if count == 1 else -(-count // kernel.GROUP) * kernel.GROUP
        self._kernel, self._gallery = kernel, gallery
        self._count, self._size = count, size
        self._used = np.array([column for column, _ in question.used], np.int64)
        self._names = {column: spec.name for column, spec in question.used}
        self._complete = np.ones(levels, np.bool_)
        self._complete[: len(question.specs)] = gallery.complete
        self._factors, self._weights = np.zeros((2, levels, size), np.float32)
        self._weights[: len(question.specs), :count] = question.weights.T
        self._queries: dict[int, npt.NDArray[np.int16]] = {}
        self._dims, self._places = np.zeros((2, levels), np.int64)
        self._biases, self._sigmoid = np.zeros(levels, np.float32), np.zeros(levels, np.bool_)
        scales = {spec.name: np.zeros(count, np.float32) for spec in question.specs}
        for column, spec in question.used:
            codes, scales[spec.name] = encode_queries(question.rows[spec.name])
            filled = np.zeros((size, spec.dim), np.int16)
            filled[:count] = codes
            self._queries[column] = filled
            self._dims[column], self._places[column] = spec.dim, filled.ctypes.data
            self._factors[column, :count] = scales[spec.name] * np.float32(spec.scale)
            self._biases[column], self._sigmoid[column] = spec.bias, spec.activation == "sigmoid"
        off = margins(question, gallery.bounds, scales)
        raw, sizes = code_errors(question, gallery.bounds, off)
        self._errors = np.zeros(size, np.float32)
        self._errors[:count] = (1 + 1e-5) * fused_error(question, raw, sizes, gallery.complete)
        self._margins = np.zeros((3, levels, size), np.float32)
        of_levels = np.array([spec.scale for spec in question.specs])
        # The factor covers the kernel's own arithmetic with them.
        lengths, fixed = (1 + 1e-5) * of_levels * (off.lengths, off.fixed)
        self._margins[:, : len(of_levels), :count] = lengths.T, fixed.T, own_error(question, raw, sizes).T
        self._losses = np.zeros((2, levels), np.float32)
        for column, spec in question.used:
            self._losses[:, column] = gallery.bounds[spec.name].ratio, gallery.bounds[spec.name].residual

    def take(self, pieces: deque[Piece], k: int, allowed: npt.NDArray[np.bool_] | None) -> list[Survivors]:
        """Scan pieces until there are none left; what is kept for each query, of rows that are `allowed`."""
        # Where all rows are wanted there are no more than all.
        room = max(4 * self._kernel.BLOCK, min(4 * k, len(self._gallery.row_ids) + self._kernel.BLOCK))
        kept, limits = np.empty((self._size, room), np.int64), np.empty((2, self._size, room), np.float32)
        counts, marks = np.zeros((2, self._size), np.int64)
        least = np.full(self._size, np.finfo(np.float32).min, np.float32)
        allowed = np.zeros(0, np.bool_) if allowed is None else allowed
        while True:
            try:
                place, start, row, last = pieces.popleft()
            except IndexError:
                return [Survivors(kept[i, :n], *limits[:, i, :n]) for i, n in enumerate(counts[: self._count])]
            segment = self._segment(place)
            while True:
                row = self._kernel.scan_rows(*segment, allowed, start, row, last, k, least, marks, kept, limits, counts)
                if row == last:
                    break
                kept = np.pad(kept, ((0, 0), (0, room)))
                limits = np.pad(limits, ((0, 0), (0, 0), (0, room)))
                room *= 2

    def _segment(self, place: int) -> tuple[object, ...]:
        """What the kernel must know of a segment and of the question, in its order."""
        segment = self._gallery.segments[place]
        nothing = np.zeros(0, np.float32)
        codes = np.zeros(self._kernel.LEVELS, np.int64)
        for column, name in self._names.items():
            codes[column] = segment.codes[name].ctypes.data
        return (
            codes,
            tuple(segment.scales[self._names[i]] if i in self._names else nothing for i in range(self._kernel.LEVELS)),
            self._gallery.resident.present[place],
            self._used,
            self._places,
            self._dims,
            self._factors,
            self._weights,
            self._biases,
            self._sigmoid,
            self._complete,
            self._losses,
            self._margins,
            self._errors,
        )


def _merge(shares: Sequence[Survivors], k: int) -> Survivors:
    """What all threads have found for a query, less the rows that cannot be among the first k of all."""
    rows = np.concatenate([share.rows for share in shares])
    low, high = (np.concatenate([getattr(share, name) for share in shares]) for name in ("low", "high"))
    order = np.argsort(rows)
    found = Survivors(rows[order], low[order], high[order])
    return found.within(found.least(k))
