"""Why 4-bit codes prove nothing: how many clips a bound on their error leaves within reach of the ten best.

    python -m benchmarks.search.code_bounds DIR  # a folder of `python -m benchmarks.search --work`, with its library

<v, q> differs from what a code says by at most |r| |q|, r being what coding took from v. Its length is known here
for every clip and level. What FAISS's tables of 8 bits round comes on top.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import faiss
import numpy as np

from benchmarks.search.made_vectors import LEVEL_NAMES, K, load, load_queries
from indexer.search.vectors.segment import product_codes_name

_QUERIES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    segment = max((folder / "library" / "generations").iterdir()) / "clips" / "0000"
    vectors, queries = load(folder / "data"), load_queries(folder / "data")
    said = bound = true = np.zeros(())
    for name in LEVEL_NAMES:
        index = faiss.read_index(str(segment / product_codes_name(name)))
        decoded = index.reconstruct_n(0, index.ntotal)[:, : vectors[name].shape[1]]
        asked = queries[name][:_QUERIES]
        lost = np.linalg.norm(vectors[name] - decoded, axis=1)
        share = 1 / len(LEVEL_NAMES)
        said = said + share * (asked @ decoded.T)
        true = true + share * (asked @ vectors[name].T)
        bound = bound + share * np.outer(np.linalg.norm(asked, axis=1), lost)
    least = np.sort(said - bound, axis=1)[:, -K]
    within = (said + bound >= least[:, None]).mean(axis=1)
    above = np.sort(true, axis=1)[:, -K] - true.mean(axis=1)
    print(f"score of the {K}th best above the mean: {above.mean():.3f}")
    print(f"error of codes: mean {np.abs(said - true).mean():.4f}, most {np.abs(said - true).max():.3f}")
    print(f"its bound: mean {bound.mean():.3f}; within reach of the {K} best: {np.median(within):.0%} of the clips")


if __name__ == "__main__":
    main()
