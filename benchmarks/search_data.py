"""Made vectors for the search benchmark: clustered, with levels that agree more often than not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.encoder import EncoderSpec
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors

DIM = 256
LEVELS = tuple(LevelSpec(name, DIM) for name in LEVEL_NAMES)
SPEC = EncoderSpec("benchmark", "benchmark-0", LEVELS, 1, "made vectors")
QUERIES = 256

_BLOCK = 1 << 16
_SPREAD = 1.0
"""Length of the noise around a topic's unit vector: items of a topic have a cosine of about one half."""

_AGREE = 0.7
"""How often a level has the topic that the item has as a whole."""


def make_data(folder: Path, n: int, seed: int) -> None:
    """Write LEVEL.npy (n, DIM) and queries-LEVEL.npy (QUERIES, DIM): unit rows, float32, queries drawn as items are."""
    folder.mkdir(parents=True, exist_ok=True)
    topics = max(50, n // 200)
    rng = np.random.default_rng(seed)
    whole = rng.zipf(1.3, n + QUERIES) % topics
    for name in LEVEL_NAMES:
        centres = _unit(rng.standard_normal((topics, DIM), dtype=np.float32))
        own = np.where(rng.random(len(whole)) < _AGREE, whole, rng.integers(0, topics, len(whole)))
        rows = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, DIM))
        for start in range(0, n, _BLOCK):
            rows[start : start + _BLOCK] = _around(centres[own[start : min(start + _BLOCK, n)]], rng)
        rows.flush()
        np.save(folder / f"queries-{name}.npy", _around(centres[own[n:]], rng))


def load(folder: Path) -> Vectors:
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in LEVEL_NAMES}


def load_queries(folder: Path) -> Vectors:
    return {name: np.load(folder / f"queries-{name}.npy") for name in LEVEL_NAMES}


def _around(centres: FloatArray, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(centres.shape, dtype=np.float32) * np.float32(_SPREAD / np.sqrt(DIM))
    return _unit(centres + noise)


def _unit(rows: FloatArray) -> FloatArray:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
