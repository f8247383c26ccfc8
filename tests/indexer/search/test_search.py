"""Fused search against a plain loop in float64, in every engine."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.search.top_k import search
from indexer.search.vectors.gallery import Change, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import LEVEL_NAMES, LevelSpec, Vectors
from quartet.errors import InputError, LibraryError, NotFoundError
from tests.indexer.engines import FILES, Engine, MilvusGalleries

DIM = 4


def sigmoid(z: float) -> float:
    # Of a large number exp overflows, on either side.
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def slow_search(
    specs: tuple[LevelSpec, ...], ids: list[int], vectors: Vectors, query: Vectors, k: int, weights: dict[str, float]
) -> list[tuple[int, float]]:
    """(id, score) of the first k items, one item and one level after the other, in Python's floats."""
    scored = []
    for row, item in enumerate(ids):
        total = norm = 0.0
        for spec in specs:
            v, q = vectors[spec.name][row].tolist(), query[spec.name][0].tolist()
            weight = weights.get(spec.name, spec.weight)
            if not any(v) or not any(q) or weight == 0:
                continue
            z = spec.scale * math.fsum(a * b for a, b in zip(v, q, strict=True)) + spec.bias
            total += weight * (sigmoid(z) if spec.activation == "sigmoid" else z)
            norm += weight
        if norm:
            scored.append((item, total / norm))
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    # Halves and few values: sums are exact, so that equal scores are equal in any order of addition, and common.
    coarse = draw(st.booleans())
    numbers = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]) if coarse else st.floats(-8, 8, width=32)
    n = draw(st.integers(0, 12))
    row = st.one_of(st.just([0.0] * DIM), st.lists(numbers, min_size=DIM, max_size=DIM))
    specs = tuple(
        LevelSpec(
            name,
            DIM,
            draw(st.sampled_from(["identity", "sigmoid"])),
            draw(st.sampled_from([0.5, 1.0, 8.0])),
            draw(st.sampled_from([-1.0, 0.0, 2.0])),
        )
        for name in LEVEL_NAMES
    )

    def array(rows: int) -> np.ndarray:
        values = draw(st.lists(row, min_size=rows, max_size=rows))
        return np.array(values, dtype=np.float32).reshape(rows, DIM)

    vectors = {name: array(n) for name in LEVEL_NAMES}
    query = {name: array(1) for name in LEVEL_NAMES}
    weights = {name: draw(st.sampled_from([0.0, 1.0, 2.0, 3.5])) for name in LEVEL_NAMES}
    ids = sorted(draw(st.sets(st.integers(1, 10**12), min_size=n, max_size=n)))
    return specs, ids, vectors, query, draw(st.integers(1, 15)), weights


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_equals_a_plain_loop(case: tuple) -> None:
    check_equals_a_plain_loop(FILES, case)


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_milvus_equals_a_plain_loop(milvus: Engine, case: tuple) -> None:
    check_equals_a_plain_loop(milvus, case)


@settings(max_examples=5, deadline=None)
@given(case=cases())
def test_a_milvus_server_equals_a_plain_loop(on_milvus_server: MilvusGalleries, case: tuple) -> None:
    check_equals_a_plain_loop(Engine("milvus server", on_milvus_server.make, scans=False), case)


def check_equals_a_plain_loop(engine: Engine, case: tuple) -> None:
    specs, ids, vectors, query, k, weights = case
    with tempfile.TemporaryDirectory() as folder:
        gallery = engine.make(Path(folder), specs, ids, vectors)
        if not any(weights[name] and query[name].any() for name in LEVEL_NAMES):
            with pytest.raises(InputError):
                search(gallery, specs, query, k, weights)
            return
        result = search(gallery, specs, query, k, weights)
    expected = slow_search(specs, ids, vectors, query, k, weights)
    assert result.exact
    assert result.candidates == len(ids) if engine.scans else result.candidates <= len(ids)
    assert len(result.hits) == len(expected)
    for hit, (_, score) in zip(result.hits, expected, strict=True):
        assert hit.score == pytest.approx(score, rel=1e-9, abs=1e-9)
        assert math.fsum(level.contribution for level in hit.levels.values()) == pytest.approx(hit.score)
    # Scores that differ by less than double rounding may stand in either order; all others must agree.
    close = any(abs(a[1] - b[1]) < 1e-9 and a[1] != b[1] for a in expected for b in expected)
    full = slow_search(specs, ids, vectors, query, len(ids), weights)
    close = close or any(abs(item[1] - expected[-1][1]) < 1e-9 and item not in expected for item in full)
    if not close:
        assert [hit.id for hit in result.hits] == [item for item, _ in expected]


def unit_specs() -> tuple[LevelSpec, ...]:
    return tuple(LevelSpec(name, DIM) for name in LEVEL_NAMES)


def same_for_all(rows: list[list[float]]) -> Vectors:
    return {name: np.array(rows, dtype=np.float32).reshape(len(rows), DIM) for name in LEVEL_NAMES}


def test_ties_break_by_lower_id_wherever_the_rows_stand(engine: Engine, tmp_path: Path) -> None:
    kinds = np.random.default_rng(0).integers(1, 4, 1000)
    rows = [[float(kind), 0.5, 0.0, 1.0] for kind in kinds]
    gallery = engine.make(tmp_path, unit_specs(), list(range(5, 1005)), same_for_all(rows))
    result = search(gallery, unit_specs(), same_for_all([[1.0, 1.0, 1.0, 1.0]]), 600, {})
    expected = sorted(range(5, 1005), key=lambda item: (-kinds[item - 5], item))
    assert [hit.id for hit in result.hits] == expected[:600]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_right_where_float32_cannot_tell(engine: Engine, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    specs = tuple(LevelSpec(name, 64) for name in LEVEL_NAMES)
    base = rng.standard_normal(64)
    # Scores differ by about 1e-8 of themselves, a tenth of what a float32 sum rounds away.
    vectors = {name: (base * (1 + 1e-7 * rng.standard_normal((500, 64)))).astype(np.float32) for name in LEVEL_NAMES}
    query = {name: rng.standard_normal((1, 64)).astype(np.float32) for name in LEVEL_NAMES}
    truth = sum(vectors[name].astype(np.float64) @ query[name][0].astype(np.float64) for name in LEVEL_NAMES)
    gallery = engine.make(tmp_path, specs, list(range(500)), vectors)
    hits = search(gallery, specs, query, 5, {}).hits
    assert [hit.id for hit in hits] == np.argsort(-truth)[:5].tolist()


def test_a_hit_shows_what_each_level_gave(engine: Engine, tmp_path: Path) -> None:
    specs = (LevelSpec("global", DIM, "sigmoid", 2.0, -1.0), *unit_specs()[1:])
    vectors = same_for_all([[1, 0, 0, 0]])
    vectors["action"][:] = 0
    query = same_for_all([[0.5, 0, 0, 0]])
    query["relation"][:] = 0
    hit = search(engine.make(tmp_path, specs, [9], vectors), specs, query, 1, {"entity": 3.0}).hits[0]
    assert hit.id == 9
    assert hit.score == pytest.approx((0.5 + 3 * 0.5) / 4)
    assert hit.levels["global"].raw == 0.5
    assert hit.levels["global"].activation == pytest.approx(0.5)
    assert hit.levels["global"].contribution == pytest.approx(0.125)
    assert (hit.levels["entity"].weight, hit.levels["entity"].contribution) == (3.0, 0.375)
    for missing in ("action", "relation"):
        level = hit.levels[missing]
        assert (level.raw, level.activation, level.weight, level.contribution) == (0, 0, 0, 0)


def test_an_item_without_any_asked_level_is_no_hit(engine: Engine, tmp_path: Path) -> None:
    vectors = same_for_all([[1, 0, 0, 0], [0, 1, 0, 0]])
    vectors["action"][1] = 0
    gallery = engine.make(tmp_path, unit_specs(), [1, 2], vectors)
    only_action = {"global": 0.0, "entity": 0.0, "relation": 0.0}
    hits = search(gallery, unit_specs(), same_for_all([[1, 1, 0, 0]]), 5, only_action).hits
    assert [hit.id for hit in hits] == [1]


@pytest.mark.parametrize(
    ("change", "k", "weights", "message"),
    [
        ({}, 0, {}, "k must be at least 1"),
        ({}, 1, {"colour": 1.0}, "Unknown level 'colour'"),
        ({}, 1, {"entity": -1.0}, "at least 0"),
        ({}, 1, dict.fromkeys(LEVEL_NAMES, 0.0), "All weights are 0"),
        ({"entity": np.zeros((2, DIM))}, 1, {}, r"shape \(1, 4\)"),
        ({"entity": np.full((1, DIM), np.nan)}, 1, {}, "contains NaN or infinity"),
        ({name: np.zeros((1, DIM)) for name in LEVEL_NAMES}, 1, {}, "no words for the levels"),
        ({}, 1, {"entity": 1e39}, "'global', 1, is too small compared with the largest, 1e.39"),
        ({}, 1, {"entity": 1e-46}, "'entity', 1e-46, is too small"),
    ],
)
def test_refuses_a_question_without_an_answer(
    engine: Engine, tmp_path: Path, change: dict[str, np.ndarray], k: int, weights: dict[str, float], message: str
) -> None:
    gallery = engine.make(tmp_path, unit_specs(), [1], same_for_all([[1, 0, 0, 0]]))
    query = {**same_for_all([[1, 0, 0, 0]]), **{name: v.astype(np.float32) for name, v in change.items()}}
    with pytest.raises(InputError, match=message):
        search(gallery, unit_specs(), query, k, weights)


def test_weights_of_any_size_count_by_their_ratios(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    vectors = same_for_all(rng.standard_normal((40, DIM)).tolist())
    vectors["global"][::3] = 0
    gallery = engine.make(tmp_path, unit_specs(), range(40), vectors)
    query = same_for_all(rng.standard_normal((1, DIM)).tolist())
    plain = search(gallery, unit_specs(), query, 7, {}).hits
    for size in (5e-324, 1e-46, 1e-20, 1e39, 1.7e308):
        sized = search(gallery, unit_specs(), query, 7, dict.fromkeys(LEVEL_NAMES, size)).hits
        assert [hit.id for hit in sized] == [hit.id for hit in plain]
        assert [hit.score for hit in sized] == pytest.approx([hit.score for hit in plain], rel=1e-14)
        assert {level.weight for hit in sized for level in hit.levels.values()} <= {size, 0.0}


def test_the_least_weight_still_counts(engine: Engine, tmp_path: Path) -> None:
    """Of two items that have nothing else, the better one is first, after one that has the level that weighs."""
    vectors = same_for_all([[1, 0, 0, 0], [2, 0, 0, 0], [-1, 0, 0, 0]])
    for name in LEVEL_NAMES[1:]:
        vectors[name][2] = 0
    vectors["global"][:2] = 0
    weights = {"global": 1e9, "entity": 1e-3, "action": 0.0, "relation": 0.0}
    gallery = engine.make(tmp_path, unit_specs(), [1, 2, 3], vectors)
    found = search(gallery, unit_specs(), same_for_all([[1, 0, 0, 0]]), 3, weights)
    assert [(hit.id, hit.score) for hit in found.hits] == [(2, 2.0), (1, 1.0), (3, -1.0)]


def test_a_gallery_gives_vectors_by_id(engine: Engine, tmp_path: Path) -> None:
    gallery = engine.make(tmp_path, unit_specs(), [3, 8], same_for_all([[1, 2, 3, 4], [5, 6, 7, 8]]))
    assert gallery.vectors([8, 3])["action"].tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    assert len(gallery) == 2
    for unknown in (1, 5, 9):
        with pytest.raises(NotFoundError, match=f"no item {unknown} "):
            gallery.vectors([3, unknown])


def test_vectors_that_are_not_finite_are_never_stored(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="global vector of item 4 contains NaN or infinity"):
        write_gallery(
            tmp_path / "gallery",
            unit_specs(),
            Change([from_arrays(np.array([2, 4]), same_for_all([[1, 0, 0, 0], [float("nan"), 0, 0, 0]]))]),
        )
