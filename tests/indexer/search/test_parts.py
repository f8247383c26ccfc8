"""Questions of several parts, wanted and not, against a plain loop, in every engine and by every way of searching."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from indexer.search.exact.code_scan import compiled_kernel
from indexer.search.parts import Part, contributions, fold
from indexer.search.top_k import search
from model.levels import LEVEL_NAMES, LevelSpec, Vectors
from quartet.errors import InputError
from tests.indexer.engines import Engine, make_gallery

DIM = 24


def specs(rng: np.random.Generator) -> tuple[LevelSpec, ...]:
    return tuple(
        LevelSpec(
            name,
            DIM,
            rng.choice(["identity", "sigmoid"]),
            float(rng.choice([0.5, 1.0, 8.0])),
            float(rng.choice([-1.0, 0.0, 2.0])),
            float(rng.choice([0.3, 1.0, 2.0])),
        )
        for name in LEVEL_NAMES
    )


def unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def made(rng: np.random.Generator, n: int) -> Vectors:
    """Rows that are near each other, as embeddings do, some of which lack a level."""
    vectors = {name: unit(rng.standard_normal(DIM) + 0.5 * rng.standard_normal((n, DIM))) for name in LEVEL_NAMES}
    for name in LEVEL_NAMES[1:]:
        vectors[name][rng.random(n) < 0.2] = 0
    return vectors


def asked(rng: np.random.Generator, vectors: Vectors, weights: list[float]) -> list[Part]:
    """Parts of the given weights: some are clips of the gallery, so that what is not wanted is right among them."""
    parts = []
    for weight in weights:
        row = int(rng.integers(len(vectors["global"])))
        rows = {name: vectors[name][row : row + 1] + 0.1 * rng.standard_normal((1, DIM)) for name in LEVEL_NAMES}
        parts.append(Part({name: own.astype(np.float32) for name, own in rows.items()}, weight))
    return parts


def slow(specs: tuple[LevelSpec, ...], vectors: Vectors, parts: list[Part]) -> list[float]:
    """What every row scores, in Python's floats, part by part."""
    wanted = sum(part.weight for part in parts if part.weight > 0) or sum(abs(part.weight) for part in parts)
    scores = []
    for row in range(len(vectors["global"])):
        total = norm = 0.0
        for spec in specs:
            v = vectors[spec.name][row].tolist()
            if any(v):
                z = spec.bias
                for part in parts:
                    q = part.rows[spec.name][0].tolist()
                    z += spec.scale * part.weight / wanted * math.fsum(a * b for a, b in zip(v, q, strict=True))
                total += spec.weight * (1 / (1 + math.exp(-z)) if spec.activation == "sigmoid" else z)
                norm += spec.weight
        scores.append(total / norm if norm else -math.inf)
    return scores


WEIGHTS = [[1.0, -0.5], [1.0, -1.0], [-1.0], [-3.0, -0.2], [1.0, 0.5, -0.25, 2.0, -4.0]]


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_parts_rank_as_a_plain_loop(engine: Engine, tmp_path: Path, weights: list[float]) -> None:
    rng = np.random.default_rng(len(weights))
    levels = specs(rng)
    vectors = made(rng, 400)
    parts = asked(rng, vectors, weights)
    gallery = engine.make(tmp_path, levels, list(range(1, 401)), vectors)
    result = search(gallery, levels, fold(levels, parts), 12, {})
    truth = slow(levels, vectors, parts)
    order = sorted(range(400), key=lambda row: -truth[row])
    assert result.exact
    assert [hit.id - 1 for hit in result.hits] == order[:12]
    # The parts are folded in float32.
    assert [hit.score for hit in result.hits] == pytest.approx([truth[row] for row in order[:12]], abs=1e-5)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_machine_code_ranks_them_alike(tmp_path: Path, weights: list[float]) -> None:
    rng = np.random.default_rng(7 + len(weights))
    levels = specs(rng)
    vectors = made(rng, 3000)
    query = fold(levels, asked(rng, vectors, weights))
    gallery = make_gallery(tmp_path, levels, range(1, 3001), vectors)
    by_numpy = search(gallery, levels, query, 10, {})
    assert compiled_kernel(len(gallery.row_ids), wait=True) is not None
    by_kernel = search(gallery, levels, query, 10, {})
    assert by_kernel.hits == by_numpy.hits


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_what_the_parts_gave_adds_up(tmp_path: Path, weights: list[float]) -> None:
    rng = np.random.default_rng(3)
    levels = specs(rng)
    vectors = made(rng, 50)
    parts = asked(rng, vectors, weights)
    gallery = make_gallery(tmp_path, levels, range(50), vectors)
    hits = search(gallery, levels, fold(levels, parts), 50, {}).hits
    given, base = contributions(levels, parts, hits, gallery.vectors([hit.id for hit in hits]))
    assert given.shape == (len(hits), len(weights))
    assert given.sum(axis=1) + base == pytest.approx([hit.score for hit in hits], abs=1e-5)
    if all(spec.activation == "identity" for spec in levels):
        # Without a sigmoid a part gives what it scores alone, times its share.
        alone = slow(levels, vectors, parts[:1])
        assert given[:, 0] + base == pytest.approx([alone[hit.id] * weights[0] for hit in hits], abs=1e-5)


def test_one_part_is_the_query_itself() -> None:
    rng = np.random.default_rng(0)
    levels = specs(rng)
    (part,) = asked(rng, made(rng, 5), [4.0])
    assert all((fold(levels, [part])[name] == part.rows[name]).all() for name in LEVEL_NAMES)


def test_parts_that_cancel_out() -> None:
    rng = np.random.default_rng(0)
    levels = specs(rng)
    (part,) = asked(rng, made(rng, 5), [1.0])
    with pytest.raises(InputError, match="cancel each other out"):
        fold(levels, [part, Part(part.rows, -1.0)])
