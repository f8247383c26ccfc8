"""The exact scan of half-precision rows on this machine's device, for the table of `benchmarks.gpu.check`.

The vectors are those of the search benchmark. It needs torch and NumPy, no FAISS and no library on disk.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu.rows import Row, p50
from benchmarks.search.made_vectors import QUERIES, K, load, load_queries, make_data, spec_of, truth
from indexer.search.exact.exhaustive import scan
from indexer.search.question import Question, make_question
from indexer.search.vectors.codes import Bounds
from indexer.search.vectors.compact_rows import Halves
from indexer.search.vectors.gallery import Gallery
from model.levels import FloatArray, LevelSpec

SIZES = (100_000, 1_000_000)
_BLOCK = 1 << 16
_READ = 1 << 32
"""Bytes whose reading measures the bandwidth of a GPU's memory; of a CPU's, a thirty-second of it."""


class MadeSegment:
    """Rows {level: (n, d_l)} in place of a segment of a library (`indexer.search.vectors.segment.Segment`)."""

    def __init__(self, levels: Sequence[LevelSpec], rows: Mapping[str, FloatArray]) -> None:
        self._rows = dict(rows)
        n = len(next(iter(rows.values())))
        self.ids = np.arange(n, dtype=np.int64)
        self.present = np.ones((n, len(levels)), dtype=np.bool_)
        self.bounds = {name: Bounds(_largest_norm(own), 0.0) for name, own in rows.items()}

    def __len__(self) -> int:
        return len(self.ids)

    def dim(self, level: str) -> int:
        return int(self._rows[level].shape[1])

    def file_id(self, level: str) -> tuple[int, int]:
        """Of no file: as long as this object is there, no other has it."""
        return id(self), list(self.bounds).index(level)

    def rows(self, level: str, positions: npt.NDArray[np.int64]) -> FloatArray:
        return np.asarray(self._rows[level][positions])


def searching(device: torch.device, sizes: Sequence[int] = SIZES, seed: int = 0) -> Iterator[Row]:
    """Scans of every size compared with the least that reading the rows can take, and whether they miss a true hit."""
    bandwidth = _bandwidth(device)
    yield Row("reading memory, GB/s", f"{bandwidth / 1e9:,.0f}", "the floor of a scan is its bytes over this")
    for n in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make_data(folder, n, seed)
            levels = spec_of(folder).levels
            segment = MadeSegment(levels, load(folder))
            gallery = Gallery(levels, [segment], np.zeros(0, np.int64), device=str(device))  # type: ignore[list-item]
            # On a CPU a library is scanned in 8 bits: here it stands in for a GPU.
            vars(gallery)["resident"] = Halves(gallery.segments, str(device))
            queries, expected = load_queries(folder), truth(folder)
            size = sum(2 * n * level.dim for level in levels)
            for batch in (1, 32):
                asked = [
                    make_question(levels, {name: rows[i : i + batch] for name, rows in queries.items()}, {})
                    for i in range(0, QUERIES, batch)
                ]
                what = f"{n:,} clips exactly, {batch} at once"
                for named, calls in (
                    (what, [partial(scan, gallery, question, K, None) for question in asked]),
                    (f"{what}, the products alone", [partial(_products, gallery, question) for question in asked]),
                ):
                    seconds = p50(calls[:30] if device.type == "cuda" else calls[:8], device)
                    note = f"{seconds * bandwidth / size:.1f} times the floor of {1000 * size / bandwidth:.2f} ms"
                    yield Row(f"{named}, p50 ms", f"{1000 * seconds:.2f}", note)
            # The last questions are batches of 32, which together are all of them.
            survivors = [found.rows for question in asked for found in scan(gallery, question, K, None)]
            found = sum(len(np.intersect1d(rows, best)) for rows, best in zip(survivors, expected, strict=True))
            kept = float(np.mean([len(rows) for rows in survivors]))
            yield Row(
                f"{n:,} clips, true hits kept",
                f"{found:,} of {expected.size:,}",
                f"by float64 on the CPU; {kept:.0f} clips per query left to score again",
            )


def _products(gallery: Gallery, question: Question) -> object:
    """What has to be read for a scan, without what is done with it."""
    products = (gallery.resident.products(0, spec, question) for _, spec in question.used)
    return [product(0, len(gallery)) for product in products]


def _bandwidth(device: torch.device) -> float:
    """Bytes per second at which the device reads its memory: the best of some passes."""
    block = torch.ones(_READ // 4 if device.type == "cuda" else _READ // 128, device=device)
    best, together = float("inf"), 4
    for _ in range(7):
        block.max().item()
        began = time.perf_counter()
        # Several at a time, so that starting them takes no part of it.
        torch.stack([block.max() for _ in range(together)]).cpu()
        best = min(best, (time.perf_counter() - began) / together)
    return block.nbytes / best


def _largest_norm(rows: FloatArray) -> float:
    blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    # One part in 2**40 covers the rounding of the measurement itself.
    return max(float(np.linalg.norm(block.astype(np.float64), axis=1).max()) for block in blocks) * (1 + 2**-40)
