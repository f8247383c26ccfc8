"""The scan of 8-bit rows on the CPU, in machine code and on all cores (`indexer.kernel`).

Compiling takes some seconds of a core. A process that asks once, like a command, is done before that; one that keeps
asking large galleries, like the service, compiles beside its first searches, which `indexer.exact` meanwhile
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

from indexer.codes import code_errors, encode_queries
from indexer.question import Floats, Question, fused_error
from indexer.threads import threads
from model.levels import FloatArray

if TYPE_CHECKING:
    from indexer.gallery import Gallery

_LARGE = 10_000
"""Rows from which a gallery is worth compiling for."""

_PATIENCE = 3
"""Scans of a large gallery after which a process is taken for one that keeps asking."""

_ENOUGH = 1 << 24
"""Multiplications that are worth another thread: half a millisecond."""

_searches = itertools.count(1)
_log = logging.getLogger(__name__)

Positions = npt.NDArray[np.int64]


def compiled(rows: int, wait: bool = False) -> ModuleType | None:
    """`indexer.kernel`, once it is compiled; `rows`, those of the gallery that is searched, may set that off.

    wait  compile now, if need be
    """
    if wait:
        return _compilation().result()
    if rows >= _LARGE and next(_searches) > _PATIENCE:
        _compilation()
    if not _compilation.cache_info().currsize:
        return None
    future = _compilation()
    return future.result() if future.done() and future.exception() is None else None


def prepare(gallery: object) -> None:
    """Compile now, for a process that will keep asking, if the scans of `gallery` are worth it.

    Beside searches it takes longer, and takes Python's lock from them: a search may then last half a second.
    """
    from indexer.gallery import Gallery

    if isinstance(gallery, Gallery) and gallery.resident.device == "cpu" and len(gallery) >= _LARGE:
        _compilation().exception()  # that it failed is told by `_report`


@cache
def _compilation() -> Future[ModuleType]:
    # A thread of its own: no search may wait for it.
    compiler = ThreadPoolExecutor(1, thread_name_prefix="compile")
    future = compiler.submit(importlib.import_module, "indexer.kernel")
    future.add_done_callback(_report)
    compiler.shutdown(wait=False)
    return future


def _report(future: Future[ModuleType]) -> None:
    if error := future.exception():
        _log.warning("Exact searches go on without machine code, at half the speed, since Numba failed: %s", error)


def scan_codes(
    kernel: ModuleType,
    gallery: Gallery,
    question: Question,
    k: int,
    allowed: npt.NDArray[np.bool_] | None,
    skip: int = 0,
) -> list[Positions]:
    """What `indexer.exact.scan` gives, of a gallery whose rows are on the CPU."""
    parts = [part for part in gallery.parts() if part[0] >= skip]
    if not parts:
        return [np.zeros(0, dtype=np.int64)] * len(question)
    errors = [
        fused_error(question, *code_errors(question, segment.bounds, encode_queries), gallery.complete)
        for _, _, segment in parts
    ]
    scan = _Scan(kernel, gallery, question, k, np.max(errors, axis=0), allowed)
    rows = sum(len(segment) for _, _, segment in parts)
    shares = _shares(rows * sum(spec.dim for _, spec in question.used) * len(question))
    # Several pieces per thread, so that all of them end together.
    size = -(-rows // (4 * shares if shares > 1 else 1))
    pieces = deque(
        (place, start, first, min(first + size, len(segment)))
        for place, start, segment in parts
        for first in range(0, len(segment), size)
    )
    helpers = [threads().submit(scan.take, pieces) for _ in range(shares - 1)]
    found = [scan.take(pieces)]
    # Where other searches keep the threads busy, a helper that has not begun has nothing left to do.
    found += [helper.result() for helper in helpers if not helper.cancel()]
    return [_within_reach([share[i] for share in found], k, scan.error[i]) for i in range(len(question))]


def _shares(multiplications: int) -> int:
    import torch

    return max(1, min(torch.get_num_threads(), multiplications // _ENOUGH))


Piece = tuple[int, int, int, int]
"""(segment, its first row in the gallery, rows of the segment from .. to)."""

Kept = tuple[Positions, FloatArray]
"""Rows and their scores."""


class _Scan:
    """A question as the kernel takes it, and the gallery. `error` (B,): the most that a score is off."""

    def __init__(
        self,
        kernel: ModuleType,
        gallery: Gallery,
        question: Question,
        k: int,
        error: Floats,
        allowed: npt.NDArray[np.bool_] | None,
    ) -> None:
        count = len(question)
        # Several queries are filled up with some of no weight, which nothing answers.
        size = count if count == 1 else -(-count // kernel.GROUP) * kernel.GROUP
        self._kernel, self._gallery, self._k, self.error = kernel, gallery, k, error
        self._count, self._size = count, size
        self._allowed = np.zeros(0, np.bool_) if allowed is None else allowed
        self._used = np.array([column for column, _ in question.used], np.int64)
        self._names = {column: spec.name for column, spec in question.used}
        self._complete = np.ones(kernel.LEVELS, np.bool_)
        self._complete[: len(question.specs)] = gallery.complete
        self._factors, self._weights = np.zeros((2, kernel.LEVELS, size), np.float32)
        self._weights[: len(question.specs), :count] = question.weights.T
        self._queries: dict[int, npt.NDArray[np.int16]] = {}
        self._dims, self._places = np.zeros((2, kernel.LEVELS), np.int64)
        self._biases, self._sigmoid = np.zeros(kernel.LEVELS, np.float32), np.zeros(kernel.LEVELS, np.bool_)
        for column, spec in question.used:
            codes, scales = encode_queries(question.rows[spec.name])
            filled = np.zeros((size, spec.dim), np.int16)
            filled[:count] = codes
            self._queries[column] = filled
            self._dims[column], self._places[column] = spec.dim, filled.ctypes.data
            self._factors[column, :count] = scales * np.float32(spec.scale)
            self._biases[column], self._sigmoid[column] = spec.bias, spec.activation == "sigmoid"

    def take(self, pieces: deque[Piece]) -> list[Kept]:
        """Scan pieces until there are none left; what is kept for each query."""
        room = max(16 * self._kernel.BLOCK, 4 * self._k)
        kept, scores = np.empty((self._size, room), np.int64), np.empty((self._size, room), np.float32)
        counts = np.zeros(self._size, np.int64)
        least = np.full(self._size, np.finfo(np.float32).min, np.float32)
        while True:
            try:
                place, start, row, last = pieces.popleft()
            except IndexError:
                return [(kept[i, : counts[i]], scores[i, : counts[i]]) for i in range(self._count)]
            segment = self._segment(place)
            while row < last:
                row = self._kernel.scan_rows(*segment, start, row, last, least, kept, scores, counts)
                if row == last:
                    break
                for i in range(self._count):
                    mine = kept[i, : counts[i]], scores[i, : counts[i]]
                    least[i] = max(least[i], _least(mine[1], self._k, self.error[i]))
                    near = mine[1] >= least[i]
                    counts[i] = near.sum()
                    kept[i, : counts[i]], scores[i, : counts[i]] = mine[0][near], mine[1][near]
                if 2 * (counts.max() + self._kernel.BLOCK) > room:
                    kept, scores = (np.pad(table, ((0, 0), (0, room))) for table in (kept, scores))
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
            self._gallery.resident.present[place].numpy(),
            self._used,
            self._places,
            self._dims,
            self._factors,
            self._weights,
            self._biases,
            self._sigmoid,
            self._complete,
            self._allowed,
        )


def _least(scores: FloatArray, k: int, error: float) -> np.float32:
    """What a row must score to be among the first k of those with the given scores, all of them off by `error`.

    The k best truly score at least the k-th less the error; a row that is below that by twice the error, does not.
    """
    if len(scores) < k:
        return np.finfo(np.float32).min
    least = float(np.partition(scores, len(scores) - k)[len(scores) - k]) - 2 * error
    return max(np.nextafter(np.float32(least), np.float32(-np.inf)), np.finfo(np.float32).min)


def _within_reach(shares: Sequence[Kept], k: int, error: float) -> Positions:
    """The rows, ascending, of all threads that may be among the first k."""
    rows, scores = (np.concatenate(parts) for parts in zip(*shares, strict=True))
    return np.sort(rows[scores >= _least(scores, k, error)])
