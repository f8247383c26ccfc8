"""Made vectors for the search benchmark, of two kinds: both clustered, with levels that agree more often than not.

easy  few latent dimensions, and queries that are drawn as items are: what flatters every index that looks into a part
hard  many latent dimensions, topics of very different size, and a gap: all items of a level share a mean, queries
      have another and are noisier, as sentences are elsewhere than videos (Liang et al., Mind the Gap, 2022)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.encoder import EncoderSpec
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors

DIM = 256
QUERIES = 256
K = 10

KINDS = ("easy", "hard")

_BLOCK = 1 << 16
_LATENT, _MANY_LATENT = 32, 160
"""Dimensions in which items truly differ, of the easy and the hard kind."""

_REAL = 10_000
"""Captions of the demo world."""

_OWN, _NOISE = 0.4, 0.3
"""Of the easy kind: how much of a level is its own rather than the item's, and the length of its noise."""

_ROW_NOISE, _QUERY_NOISE = 0.5, 1.6
"""Of the hard kind, in standard deviations of what a level sees of an item, per dimension."""

_MEAN, _KEPT, _GAP = 8.0, 0.3, 6.0
"""Standard deviations of the mean that the items of a hard level share and of the gap between items and queries, and
what queries keep of that mean. What a level sees of an item has about 13."""


def make_data(folder: Path, n: int, seed: int, kind: str = "easy") -> None:
    """Write LEVEL.npy (n, DIM) and queries-LEVEL.npy (QUERIES, DIM): unit rows, float32.

    An item is a point near one of many topics, some of them far larger than others. A level sees that point through a
    projection of its own. Data that is there already is kept.
    """
    if (folder / f"queries-{LEVEL_NAMES[-1]}.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    {"easy": _make_easy, "hard": _make_hard}[kind](folder, n, np.random.default_rng(seed))


def _make_hard(folder: Path, n: int, rng: np.random.Generator) -> None:
    topics = max(50, n // 50)
    centres = rng.standard_normal((topics, _MANY_LATENT), dtype=np.float32)
    topic = (rng.pareto(1.2, n) * topics / 20).astype(np.int64) % topics
    items = np.float32(0.7) * centres[topic] + np.float32(0.8) * rng.standard_normal((n, _MANY_LATENT), np.float32)
    asked = items[rng.integers(0, n, QUERIES)]
    for name in LEVEL_NAMES:
        projection = rng.standard_normal((_MANY_LATENT, DIM), dtype=np.float32)
        mean, gap = (np.float32(size) * rng.standard_normal(DIM, dtype=np.float32) for size in (_MEAN, _GAP))
        spread = (items[:_BLOCK] @ projection).std()

        rows = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, DIM))
        for start in range(0, n, _BLOCK):
            block = items[start : start + _BLOCK] @ projection
            rows[start : start + _BLOCK] = _unit(block + mean + _noise(rng, block.shape, _ROW_NOISE * spread))
        rows.flush()
        queries = asked @ projection + np.float32(_KEPT) * mean + gap
        np.save(folder / f"queries-{name}.npy", _unit(queries + _noise(rng, queries.shape, _QUERY_NOISE * spread)))


def _make_easy(folder: Path, n: int, rng: np.random.Generator) -> None:
    topics = max(50, n // 200)
    centres = rng.standard_normal((topics, _LATENT), dtype=np.float32)
    topic = (rng.pareto(1.0, n + QUERIES) * topics / 10).astype(np.int64) % topics
    items = centres[topic] + np.float32(0.6) * rng.standard_normal((n + QUERIES, _LATENT), dtype=np.float32)
    for name in LEVEL_NAMES:
        projection = rng.standard_normal((_LATENT, DIM), dtype=np.float32)
        rows = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, DIM))
        for start in range(0, n, _BLOCK):
            rows[start : start + _BLOCK] = _seen(items[start : min(start + _BLOCK, n)], projection, rng)
        rows.flush()
        np.save(folder / f"queries-{name}.npy", _seen(items[n:], projection, rng))


def load(folder: Path) -> Vectors:
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in LEVEL_NAMES}


def load_queries(folder: Path) -> Vectors:
    return {name: np.load(folder / f"queries-{name}.npy") for name in LEVEL_NAMES}


def spec_of(folder: Path) -> EncoderSpec:
    """Levels of the data's dimensions, all weighted alike and without an activation: what every peer can do."""
    levels = tuple(LevelSpec(name, rows.shape[1]) for name, rows in load(folder).items())
    return EncoderSpec("benchmark", "benchmark-0", levels, 1, "vectors of a benchmark")


def library_data(folder: Path, library: Path, seed: int) -> int:
    """Write what a library of the demo model gives: its clips as queries, captions of the demo world to find.

    The captions are generated (`demo.captions`), distinct, and have all four levels. Returns the number of captions.
    """
    from demo.captions import captions
    from demo.world import sample_split
    from indexer.store.library import Library
    from model.registry import load_encoder

    if not (folder / f"queries-{LEVEL_NAMES[-1]}.npy").exists():
        encoder = load_encoder("demo", device="cpu")
        with Library.open(library) as opened:
            opened.check_encoder(encoder.spec)
            clips = opened.current().clips
            queries = encoder.clip_queries(clips.vectors(clips.ids))
        texts = [text for spec in sample_split("train", 3500, seed) for text in captions(spec)]
        texts = list(dict.fromkeys(texts))[: 2 * _REAL]
        parts = [encoder.encode_texts(texts[i : i + 256]).vectors for i in range(0, len(texts), 256)]
        vectors = {name: np.concatenate([part[name] for part in parts]) for name in LEVEL_NAMES}
        whole = np.flatnonzero(np.all([rows.any(axis=1) for rows in vectors.values()], axis=0))[:_REAL]
        folder.mkdir(parents=True, exist_ok=True)
        for name in LEVEL_NAMES:
            np.save(folder / f"{name}.npy", vectors[name][whole])
            np.save(folder / f"queries-{name}.npy", np.resize(queries[name], (QUERIES, queries[name].shape[1])))
    return len(load(folder)["global"])


def truth(data: Path) -> np.ndarray:
    """Row numbers of the first K items for every query, in float64, a block of items at a time."""
    vectors, queries = load(data), load_queries(data)
    n = len(vectors["global"])
    scores, ids = np.full((QUERIES, K), -np.inf), np.zeros((QUERIES, K), np.int64)
    for start in range(0, n, 1 << 14):
        block = slice(start, min(start + (1 << 14), n))
        own = sum(queries[name].astype(np.float64) @ vectors[name][block].T.astype(np.float64) for name in LEVEL_NAMES)
        numbers = np.broadcast_to(np.arange(block.start, block.stop), own.shape)
        both, names = np.concatenate([scores, own], axis=1), np.concatenate([ids, numbers], axis=1)
        top = np.argsort(-both, axis=1, kind="stable")[:, :K]
        scores, ids = np.take_along_axis(both, top, axis=1), np.take_along_axis(names, top, axis=1)
    return ids


def _seen(items: FloatArray, projection: FloatArray, rng: np.random.Generator) -> FloatArray:
    own = rng.standard_normal(items.shape, dtype=np.float32)
    rows = _unit((items + np.float32(_OWN) * own) @ projection)
    return _unit(rows + rng.standard_normal(rows.shape, dtype=np.float32) * np.float32(_NOISE / np.sqrt(DIM)))


def _noise(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> FloatArray:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(size)


def _unit(rows: FloatArray) -> FloatArray:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
