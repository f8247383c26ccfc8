"""The fast scan where levels weigh differently, one has a sigmoid, and clips and queries lack some.

    python -m benchmarks.search.level_weights --work DIR --clips 100000 --kind hard

Recall@10 against the exact scan, and processor time per query, one query at a time. Data and gallery are kept in DIR.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.search.made_vectors import DIM, KINDS, QUERIES, K, load, load_queries, make_data
from indexer.search.approximate.encoding import encode_gallery
from indexer.search.exact.code_scan import compiled_kernel
from indexer.search.top_k import SearchResult, search, search_batch
from indexer.search.vectors.gallery import Change, Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import LevelSpec, Vectors

_LEVELS = (
    LevelSpec("global", DIM, "sigmoid", 20.0, -6.0, 1.9),
    LevelSpec("entity", DIM),
    LevelSpec("action", DIM, weight=0.5),
    LevelSpec("relation", DIM, weight=0.7),
)
_ABSENT = {"relation": 0.3, "action": 0.1}
"""Shares of the clips that lack a level. Queries lack the relation four times in ten."""

_WEIGHTS: dict[str, dict[str, float]] = {
    "as they are (1.9 with a sigmoid, 1, 0.5, 0.7)": {},
    "entity 5": {"entity": 5.0},
    "global alone": {"entity": 0.0, "action": 0.0, "relation": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--kind", choices=KINDS, default="hard")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.work / f"{given.kind}-{given.clips}-{given.seed}"
    make_data(folder / "data", given.clips, given.seed, given.kind)
    rng = np.random.default_rng(given.seed)
    gallery = _gallery(folder / "weights", {name: np.array(rows) for name, rows in load(folder / "data").items()}, rng)
    queries = {name: rows[: given.queries].copy() for name, rows in load_queries(folder / "data").items()}
    queries["relation"][rng.random(min(given.queries, QUERIES)) < 0.4] = 0
    compiled_kernel(given.clips, wait=True)
    print(f"{given.clips:,} clips, {given.kind} data\n")
    print("| weights | recall@10 | CPU ms | exact, CPU ms |\n|---|---|---|---|")
    for what, weights in _WEIGHTS.items():
        truth, exact_ms = _ask(gallery, queries, weights, exact=True)
        found, ms = _ask(gallery, queries, weights, exact=False)
        common = [len(_ids(a) & _ids(b)) / K for a, b in zip(found, truth, strict=True)]
        print(f"| {what} | {np.mean(common):.3f} | {ms:.2f} | {exact_ms:.2f} |", flush=True)


def _gallery(folder: Path, vectors: Vectors, rng: np.random.Generator) -> Gallery:
    n = len(vectors["global"])
    for name, share in _ABSENT.items():
        vectors[name][rng.random(n) < share] = 0
    bounds = write_gallery(folder, _LEVELS, Change([from_arrays(np.arange(n, dtype=np.int64), vectors)]))
    encoding = encode_gallery(open_gallery(folder, _LEVELS, bounds), None, None)
    return open_gallery(folder, _LEVELS, bounds, encoding.to_json())


def _ask(
    gallery: Gallery, queries: Vectors, weights: dict[str, float], exact: bool
) -> tuple[list[SearchResult], float]:
    """Answers one at a time, and processor milliseconds of each."""
    rows = [{name: own[i : i + 1] for name, own in queries.items()} for i in range(len(queries["global"]))]
    search_batch(gallery, _LEVELS, rows[0], K, weights, exact=exact)
    began = time.process_time()
    found = [search(gallery, _LEVELS, row, K, weights, exact=exact) for row in rows]
    return found, (time.process_time() - began) / len(rows) * 1e3


def _ids(result: SearchResult) -> set[int]:
    return {hit.id for hit in result.hits}


if __name__ == "__main__":
    main()
