"""The scan of compact rows never loses a true hit: thousands of random galleries against float64."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pytest
import torch

from indexer.search import ranking
from indexer.search.exact import code_scan as fused
from indexer.search.exact import exhaustive as exact
from indexer.search.question import make_question
from indexer.search.top_k import search, search_batch
from indexer.search.vectors import codes, half_rows
from indexer.search.vectors import compact_rows as resident
from indexer.search.vectors.compact_rows import Halves, MappedCodes, make_resident
from indexer.search.vectors.gallery import Change, Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import LEVEL_NAMES, LevelSpec, Vectors
from quartet.errors import InputError
from tests.indexer.engines import Engine


def random_specs(rng: np.random.Generator) -> tuple[LevelSpec, ...]:
    kinds = rng.choice(["identity", "sigmoid"], len(LEVEL_NAMES))
    dims = rng.choice([1, 3, 16, 65], len(LEVEL_NAMES))
    scales, biases = rng.choice([0.3, 1.0, 12.0], 4), rng.choice([-2.0, 0.0, 1.0], 4)
    return tuple(
        LevelSpec(name, int(dim), kind, float(scale), float(bias), float(weight))
        for name, dim, kind, scale, bias, weight in zip(
            LEVEL_NAMES, dims, kinds, scales, biases, rng.choice([0.5, 1.0, 3.0], 4), strict=True
        )
    )


def random_vectors(rng: np.random.Generator, specs: tuple[LevelSpec, ...], n: int) -> Vectors:
    """Rows of any length, some near each other, some equal, some zero."""
    vectors = {}
    for spec in specs:
        centre = rng.standard_normal((1, spec.dim)) * rng.choice([0.0, 1.0, 5.0])
        rows = (centre + rng.standard_normal((n, spec.dim)) * rng.choice([1e-4, 0.1, 1.0])) * rng.choice([1e-3, 1, 40])
        if n:
            rows[rng.random(n) < rng.choice([0.0, 0.3])] = 0
            rows[rng.random(n) < 0.2] = rows[0]
        vectors[spec.name] = rows.astype(np.float32)
    return vectors


def true_scores(specs: tuple[LevelSpec, ...], vectors: Vectors, query: Vectors) -> np.ndarray:
    total, norm = 0.0, 0.0
    for spec in specs:
        rows, q = vectors[spec.name].astype(np.float64), query[spec.name][0].astype(np.float64)
        weight = spec.weight * (rows.any(axis=1) & q.any())
        z = spec.scale * (rows @ q) + spec.bias
        total = total + weight * (1 / (1 + np.exp(-np.clip(z, -700, 700))) if spec.activation == "sigmoid" else z)
        norm = norm + weight
    return np.where(norm > 0, total / np.where(norm > 0, norm, 1), -np.inf)


KINDS = ["compiled", "codes", "halves", *(["cuda"] if torch.cuda.is_available() else [])]
"""What is scanned: 8-bit rows in machine code and in NumPy, half precision as a GPU has it, and on one."""


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scan 8-bit rows in machine code, but in tests whose `kind` says otherwise."""
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    kernel = None if kind == "codes" else fused.compiled_kernel(0, wait=True)
    monkeypatch.setattr(exact, "compiled_kernel", lambda rows: kernel)


def in_memory(folder: Path, specs: tuple[LevelSpec, ...], vectors: Vectors, kind: str = "codes") -> Gallery:
    n = len(next(iter(vectors.values())))
    bounds = write_gallery(folder, specs, Change([from_arrays(np.arange(n, dtype=np.int64), vectors)]))
    gallery = open_gallery(folder, specs, bounds, device="cuda" if kind == "cuda" else "cpu")
    if kind == "halves":
        vars(gallery)["resident"] = Halves(gallery.segments, "cpu")
    return gallery


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(40))
def test_survivors_hold_every_true_hit(tmp_path: Path, seed: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """50 cases per seed, 2000 in all; small blocks, so that every gallery spans many."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(exact, "_BLOCK_ROWS", {"cpu": 7, "accelerator": 7})
    monkeypatch.setattr(fused, "_shares", lambda work: 1 + seed % 3)
    if seed % 4 == 3:
        monkeypatch.setattr(codes, "exact_products", lambda: False)  # a processor without 8-bit products
    if seed % 2:
        monkeypatch.setattr(codes, "_MIN_ROWS_PYTORCH", 0)  # else PyTorch multiplies no gallery of this size
    for case in range(10):
        specs = random_specs(rng)
        n = int(rng.choice([0, 1, 2, 30, 90, 600 if kind == "compiled" else 50]))
        vectors = random_vectors(rng, specs, n)
        gallery = in_memory(tmp_path / str(case), specs, vectors, kind)
        queries = {spec.name: random_vectors(rng, (spec,), 5)[spec.name] for spec in specs}
        for name in LEVEL_NAMES:
            queries[name][:, 0] += 1e-6  # no query is all zeros
        k = int(rng.integers(1, 12))
        allowed = rng.random(n) < 0.5 if case % 3 == 0 else None
        batch = exact.scan(gallery, make_question(specs, queries, {}), k, allowed)
        low, high = exact.row_limits(gallery, make_question(specs, queries, {}))
        for i in range(5):
            query = {name: rows[i : i + 1] for name, rows in queries.items()}
            scores = true_scores(specs, vectors, query)
            assert ((low[i] <= scores) & (scores <= high[i])).all()
            assert np.array_equal(high[i] > -np.inf, scores > -np.inf)
            if allowed is not None:
                scores[~allowed] = -np.inf
            count = min(k, int((scores > -np.inf).sum()))
            best = np.sort(scores)[::-1][:count]
            for found in (batch[i], exact.scan(gallery, make_question(specs, query, {}), k, allowed)[0]):
                survivors = found.rows
                assert (np.diff(survivors) > 0).all()
                np.testing.assert_allclose(np.sort(scores[survivors])[::-1][:count], best, rtol=1e-12, atol=1e-12)
                assert (scores[survivors] > -np.inf).all()


def test_a_batch_answers_as_its_queries_do_one_by_one(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    specs = tuple(LevelSpec(name, 16) for name in LEVEL_NAMES)
    gallery = engine.make(tmp_path, specs, range(300), random_vectors(rng, specs, 300))
    queries = random_vectors(rng, specs, 9)
    queries["entity"][4] = 0
    queries["global"][:, 0] += 1
    for i, result in enumerate(search_batch(gallery, specs, queries, 7, {"action": 2.0})):
        alone = search(gallery, specs, {n: rows[i : i + 1] for n, rows in queries.items()}, 7, {"action": 2.0})
        assert result.hits == alone.hits
    with pytest.raises(InputError, match="disagree on the number of queries"):
        search_batch(gallery, specs, {**queries, "action": queries["action"][:2]}, 7, {})


def test_the_scan_is_tight(tmp_path: Path) -> None:
    """The bound is of use: of 20,000 unit vectors almost none but the hits survive."""
    rng = np.random.default_rng(5)
    specs = tuple(LevelSpec(name, 64) for name in LEVEL_NAMES)
    vectors = {}
    for name in LEVEL_NAMES:
        rows = rng.standard_normal((20_000, 64)).astype(np.float32)
        vectors[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    gallery = in_memory(tmp_path / "g", specs, vectors)
    query = {name: rows[:1] + 0.05 * rows[1:2] for name, rows in vectors.items()}
    assert len(exact.scan(gallery, make_question(specs, query, {}), 10, None)[0].rows) < 40
    vars(gallery)["resident"] = Halves(gallery.segments, "cpu")
    assert len(exact.scan(gallery, make_question(specs, query, {}), 10, None)[0].rows) < 30


@pytest.mark.parametrize("kind", ["integers", "widened", "halves"])
@pytest.mark.parametrize("d", [1, 31, 256, 2048])
@pytest.mark.parametrize("count", [1, 6])
def test_scores_are_as_near_as_the_bound_says(
    tmp_path: Path, kind: str, d: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The premise of the bound, on this machine."""
    if kind == "integers":
        if not codes.exact_products():
            pytest.skip("PyTorch does not multiply 8-bit numbers exactly here.")
        monkeypatch.setattr(codes, "_MIN_ROWS_PYTORCH", 0)
    rng = np.random.default_rng(7)
    spec = LevelSpec("global", d, scale=3.0)
    rows = (rng.standard_normal((500, d)) / np.sqrt(d) + 0.3).astype(np.float32)
    rows[1], rows[2, :], rows[3] = 0, 1e-42, 1e30 if d == 1 else rows[3]
    asked = (rng.standard_normal((count, d)) / np.sqrt(d) + 0.3).astype(np.float32)
    question = make_question([spec], {"global": asked}, {})
    gallery = in_memory(tmp_path / "g", (spec,), {"global": rows}, "halves" if kind == "halves" else "codes")
    found = gallery.resident.products(0, spec, question)(0, 500)
    found = np.asarray(found, np.float64) / 3
    allowed, sizes = gallery.resident.errors(0, question)
    exactly = question.rows["global"].astype(np.float64) @ rows.astype(np.float64).T
    assert (np.abs(found - exactly) <= allowed + 1e-12).all()
    assert (np.abs(exactly) <= sizes).all()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_scores_lie_between_their_limits(tmp_path: Path, seed: int, compiled: bool) -> None:
    """Of every row, whatever its length, and not by much more than its own rounding; by scan and by lookup."""
    rng = np.random.default_rng(seed)
    specs = random_specs(rng)
    vectors = random_vectors(rng, specs, 300)
    for rows in vectors.values():
        rows[1], rows[2] = 1e-42, 1e-30
    gallery = in_memory(tmp_path / "g", specs, vectors)
    queries = {spec.name: random_vectors(rng, (spec,), 6)[spec.name] + np.float32(1e-6) for spec in specs}
    question = make_question(specs, queries, {})
    if compiled:
        limits = fused.scan_codes(fused.compiled_kernel(0, wait=True), gallery, question, 300, None)
    else:
        limits = ranking._limits(gallery, question, [np.arange(300)] * 6)
    for i, found in enumerate(limits):
        scores = true_scores(specs, vectors, {name: rows[i : i + 1] for name, rows in queries.items()})
        assert np.array_equal(found.rows, np.flatnonzero(scores > -np.inf))
        assert (found.low <= scores[found.rows]).all()
        assert (scores[found.rows] <= found.high).all()


def test_rows_of_different_lengths_have_limits_of_their_own(tmp_path: Path) -> None:
    """One long row does not blur the others, and where a sigmoid is flat an error of the product hardly counts."""
    rng = np.random.default_rng(4)
    specs = (LevelSpec("global", 64, "sigmoid", 10.0), LevelSpec("entity", 64))
    rows = rng.standard_normal((200, 64)).astype(np.float32) / 8
    rows[100:, 0] = 30
    gallery = in_memory(tmp_path / "g", specs, {"global": rows, "entity": rows})
    query = dict.fromkeys(("global", "entity"), rows[:1])
    (one,) = exact.scan(gallery, make_question(specs, query, {"global": 0}), 200, None)
    width = one.high - one.low
    assert width[:100].max() < width[100:].min() / 5
    (flat,) = exact.scan(gallery, make_question(specs, {**query, "global": 3 * rows[:1]}, {"entity": 0}), 200, None)
    width = flat.high - flat.low
    assert width[0] < width[1:100].max() / 20


def test_sums_of_products_stay_within_32_bits(tmp_path: Path) -> None:
    """The largest codes of rows and queries that there are, in every dimension."""
    for d in (256, 5000):
        spec = LevelSpec("global", d)
        rows = np.ones((300, d), np.float32)
        rows[::2] = -1
        gallery = in_memory(tmp_path / str(d), (spec,), {"global": rows})
        hits = search(gallery, (spec,), {"global": np.ones((1, d), np.float32)}, 200, {}).hits
        assert [hit.id for hit in hits] == [*range(1, 300, 2), *range(0, 100, 2)]


@pytest.mark.parametrize("order", ["rising", "falling", "equal", "missing"])
def test_room_for_survivors_grows_and_is_used_again(tmp_path: Path, order: str) -> None:
    """More rows than there is room for are within reach at one time: all if they are equal, else the best so far."""
    values = {
        "rising": np.linspace(1, 2, 6000),
        "falling": np.linspace(2, 1, 6000),
        "equal": np.ones(6000),
        "missing": np.where(np.arange(6000) % 2, 1.0, 0.0),
    }[order]
    specs = (LevelSpec("global", 1), LevelSpec("action", 1))
    rows = values[:, None].astype(np.float32)
    gallery = in_memory(tmp_path / "g", specs, {"global": rows, "action": rows})
    queries = {name: np.ones((5, 1), np.float32) for name in ("global", "action")}
    expected = np.argsort(-values, kind="stable")[:20].tolist()
    for result in search_batch(gallery, specs, queries, 20, {}):
        assert [hit.id for hit in result.hits] == expected


def test_a_process_that_keeps_asking_compiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fused, "_searches", itertools.count(1))
    fused._compilation.cache_clear()
    try:
        assert [fused.compiled_kernel(9_999) for _ in range(20)] == [None] * 20
        assert {fused.compiled_kernel(10_000) for _ in range(fused._MIN_SCANS_COMPILED)} == {None}
        fused.compiled_kernel(10_000)
        assert fused._compilation().result().__name__ == "indexer.search.exact.kernel"
        assert fused.compiled_kernel(1) is not None
        fused._compilation.cache_clear()
        monkeypatch.setitem(sys.modules, "indexer.search.exact.kernel", None)
        fused.compiled_kernel(10_000)
        with pytest.raises(ImportError):
            fused._compilation().result()
        assert fused.compiled_kernel(10_000) is None
        assert "Numba failed, so exact searches run at half the speed" in caplog.text
    finally:
        fused._compilation.cache_clear()


def test_a_gpu_without_room_leaves_the_scan_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(9)
    specs = tuple(LevelSpec(name, 16) for name in LEVEL_NAMES)
    segments = in_memory(tmp_path / "g", specs, random_vectors(rng, specs, 100)).segments
    wanted = 2 * 16 * 4 * 100
    # Half of the free memory is enough; what PyTorch has and does not use is free too.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (wanted, 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: wanted + 7)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 8)
    assert isinstance(make_resident(segments, "cuda"), MappedCodes)
    assert "The CPU searches instead of cuda" in caplog.text
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 7)
    monkeypatch.setattr(resident, "Halves", lambda segments, device: device)
    assert make_resident(segments, "cuda") == "cuda"


def test_more_hits_than_there_are_items_take_no_room(tmp_path: Path) -> None:
    specs = (LevelSpec("global", 2),)
    gallery = in_memory(tmp_path / "g", specs, {"global": np.eye(2, dtype=np.float32)})
    tracemalloc.start()
    try:
        assert len(search(gallery, specs, {"global": np.ones((1, 2), np.float32)}, 10**9, {}).hits) == 2
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_a_swap_keeps_what_the_gpu_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new generation with the same segment takes its rows over; one that is written again may take their place."""
    rng = np.random.default_rng(9)
    specs = tuple(LevelSpec(name, 16) for name in LEVEL_NAMES)
    old = in_memory(tmp_path / "old", specs, random_vectors(rng, specs, 100))
    size = 2 * 16 * 4 * 100
    memory = 2 * size  # half of it is filled at the first opening
    monkeypatch.setattr(Halves, "array", lambda self, values: values)
    monkeypatch.setattr(half_rows, "_copied", lambda segment, level, device: torch.zeros(len(segment), 16).half())
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (memory - half_rows.held_bytes(device), memory))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    monkeypatch.setattr(half_rows, "_held", WeakValueDictionary())
    first = make_resident(old.segments, "cuda")
    assert isinstance(first, Halves)
    assert half_rows.held_bytes("cuda") == size
    bounds = write_gallery(tmp_path / "new", specs, Change(old.segments))
    again = make_resident(open_gallery(tmp_path / "new", specs, bounds).segments, "cuda")
    assert isinstance(again, Halves)
    assert all(again._rows[0][name] is first._rows[0][name] for name in LEVEL_NAMES)
    written = in_memory(tmp_path / "anew", specs, random_vectors(rng, specs, 90))
    assert isinstance(make_resident(written.segments, "cuda"), Halves)
    del first, again
    assert half_rows.held_bytes("cuda") == 0


def test_rows_are_widened_a_few_at_a_time(tmp_path: Path) -> None:
    """Without 8-bit products. Large blocks of float32 took sixteen times as long: the kernel returned each again."""
    rng = np.random.default_rng(2)
    spec = LevelSpec("global", 256)
    rows = rng.standard_normal((9000, 256)).astype(np.float32)
    gallery = in_memory(tmp_path / "g", (spec,), {"global": rows})
    for count in (1, 3):
        question = make_question([spec], {"global": rows[:count]}, {})
        products = gallery.resident.products(0, spec, question)
        tracemalloc.start()
        found = products(0, 9000)
        assert 4 << 20 < tracemalloc.get_traced_memory()[1] < 5 << 20  # all rows together take 9 MB
        tracemalloc.stop()
        np.testing.assert_allclose(found, rows[:count] @ rows.T, atol=3)


def test_codes_stand_for_their_rows() -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((50, 9)).astype(np.float32) * np.logspace(-44, 30, 50, dtype=np.float32)[:, None]
    rows[7] = 0
    coded, scales = codes.encode(rows)
    assert (np.abs(coded.astype(int)) <= 127).all()
    assert not coded[7].any()
    decoded = scales[:, None].astype(np.float64) * coded
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    sound = lengths > 1e-36
    assert (np.linalg.norm(rows - decoded, axis=1)[sound] < 0.02 * lengths[sound]).all()
    np.testing.assert_allclose(codes.residuals(rows, coded, scales), np.linalg.norm(rows - decoded, axis=1))


def test_a_filter_holds_inside_the_search(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    specs = tuple(LevelSpec(name, 16) for name in LEVEL_NAMES)
    vectors = random_vectors(rng, specs, 2000)
    gallery = engine.make(tmp_path, specs, range(2000), vectors)
    query = {name: rng.standard_normal((1, 16)).astype(np.float32) for name in LEVEL_NAMES}
    scores = true_scores(specs, vectors, query)
    wanted = rng.choice(2000, 20, replace=False)
    result = search(gallery, specs, query, 5, {}, filter=np.append(wanted, [-3, 10**9]))
    expected = wanted[np.argsort(-scores[wanted])][:5]
    assert scores[[hit.id for hit in result.hits]] == pytest.approx(scores[expected])
    assert {hit.id for hit in result.hits} <= set(wanted.tolist())
    assert result.exact
    assert result.candidates == 20 if engine.scans else 5 <= result.candidates <= 20
    assert search(gallery, specs, query, 5, {}, filter=np.array([], dtype=np.int64)).hits == []
