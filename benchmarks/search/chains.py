"""Chains of clips: equal to trying them all on 100,000 random cases, and how long they take over a large library.

python -m benchmarks.search.chains --cases 100000
python -m benchmarks.search.chains --clips 100000 --cases 0
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from indexer.search.exact.code_scan import compiled_kernel
from indexer.search.filters import ClipTable
from indexer.search.moment_texts import MomentTexts
from indexer.search.moments.best_moments import best_moments
from indexer.search.moments.timeline import Timeline
from indexer.search.question import make_question
from indexer.search.text_evidence import TextEvidence
from indexer.search.text_links import TextLinks
from indexer.search.top_k import search_batch
from model.levels import LEVEL_NAMES, WORDS, LevelSpec
from tests.indexer.engines import make_gallery
from tests.indexer.search.moments.brute_force import check

DIM, OF_A_VIDEO, MOMENTS = 256, 100, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--clips", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    for _ in range(given.cases):
        check(rng)
    print(f"{given.cases} random cases equal trying all chains (seed {given.seed})")
    if given.clips:
        with tempfile.TemporaryDirectory() as folder:
            time_all(Path(folder), given.clips, rng)


def time_all(folder: Path, n: int, rng: np.random.Generator) -> None:
    specs = tuple(
        LevelSpec(name, DIM, "sigmoid", 4.0, -1.0) if name == "global" else LevelSpec(name, DIM) for name in LEVEL_NAMES
    )

    def unit(count: int) -> np.ndarray:
        rows = rng.standard_normal((count, 64), dtype=np.float32) @ mixing
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    mixing = rng.standard_normal((64, DIM), dtype=np.float32)
    ids = np.arange(1, n + 1)
    gallery = make_gallery(folder / "clips", specs, ids.tolist(), {name: unit(n) for name in LEVEL_NAMES})
    places = np.arange(n)
    starts = 4.0 * (places % OF_A_VIDEO)
    timeline = Timeline.of(ClipTable(ids, places // OF_A_VIDEO + 1, starts, starts + 8))
    # A line for every clip.
    captions = make_gallery(folder / "texts", specs, ids.tolist(), {name: unit(n) for name in LEVEL_NAMES})
    words = LevelSpec(WORDS, DIM, "sigmoid", 8.0, -3.0)
    evidence = TextEvidence(captions, specs, TextLinks(ids, ids), words)
    queries = {name: unit(MOMENTS) for name in LEVEL_NAMES}
    one = {name: rows[:1] for name, rows in queries.items()}
    texts = MomentTexts(evidence, unit(MOMENTS), 4.0, np.full(MOMENTS, 4.0))
    within = [0.0, 30.0, 30.0]
    compiled_kernel(n, wait=True)  # as the service does when it starts
    ways: dict[str, Callable[[], object]] = {
        "one sentence, 10 clips": lambda: search_batch(gallery, specs, one, 10, {}, exact=True),
        "one sentence, 10 films": lambda: best_moments(
            gallery, timeline, make_question(specs, one, {}), [0.0], 10, films=True
        ),
        "three moments, 10 chains": lambda: best_moments(
            gallery, timeline, make_question(specs, queries, {}), within, 10
        ),
        "three moments with texts": lambda: best_moments(
            gallery, timeline, make_question(specs, queries, {}), within, 10, texts=texts
        ),
        "three moments, 10 films": lambda: best_moments(
            gallery, timeline, make_question(specs, queries, {}), within, 10, films=True
        ),
    }
    print(f"{n} clips of {n // OF_A_VIDEO} videos, 4 levels of {DIM}; the median of 9, in turns")
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(10):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            taken[name].append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
    for name, times in taken.items():
        wall, cpu = np.median(np.array(times[1:]), axis=0)
        print(f"  {name:28} {wall:8.1f} ms, {cpu:8.1f} ms of CPU")


if __name__ == "__main__":
    main()
