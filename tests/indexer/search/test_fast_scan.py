"""Approximate search: recall, true scores, filters, presence patterns, additions without training, drift."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from indexer.search.approximate import fast_scan
from indexer.search.approximate.encoding import Encoding, encoding_of
from indexer.search.question import make_question
from indexer.search.top_k import search, search_batch
from indexer.search.vectors import joint_codes as joint_codes_module
from indexer.search.vectors import product_codes
from indexer.search.vectors.gallery import Gallery
from indexer.search.vectors.row_source import Rows, empty_rows, from_arrays
from indexer.store import publishing, segment_plan
from indexer.store.generation_swap import publish
from indexer.store.library import Library
from indexer.store.segment_plan import plan_segments
from model.encoder import EncoderSpec
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors

DIM = 64
LEVELS = (
    LevelSpec("global", DIM, "sigmoid", 4.0, -1.0),
    *(LevelSpec(name, DIM, weight=weight) for name, weight in zip(LEVEL_NAMES[1:], (1.0, 0.5, 2.0), strict=True)),
)
SPEC = EncoderSpec("made", "made-0", LEVELS, 4, "random vectors")
SIZE = 4000


def clustered(n: int, seed: int, missing: float = 0.1) -> Vectors:
    """Unit vectors around 20 topics that the levels share; `missing` of the rows lack a level."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((20, len(LEVELS), DIM))
    topic = rng.integers(0, 20, n)
    vectors = {}
    for column, spec in enumerate(LEVELS):
        rows = centres[topic, column] + 0.4 * rng.standard_normal((n, DIM))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        if column:
            rows[rng.random(n) < missing] = 0
        vectors[spec.name] = rows.astype(np.float32)
    return vectors


def rows_of(vectors: Mapping[str, FloatArray], start: int = 1) -> Rows:
    n = len(vectors["global"])
    return np.arange(start, start + n, dtype=np.int64), vectors


def make_library(path: Path, n: int = SIZE, seed: int = 1, approximate_from: int = 1000) -> Library:
    library = Library.create(path, SPEC)
    changes = {"clips": rows_of(clustered(n, seed)), "captions": empty_rows(SPEC.levels)}
    publish(path, SPEC, changes, approximate_from=approximate_from)
    return library


@pytest.fixture(scope="module", autouse=True)
def few_rows() -> pytest.MonkeyPatch:
    """Galleries of thousands: several parts, and as many rows proposed as are a share of a large one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_codes_module, "_PART", 700)
        patch.setattr(fast_scan, "_DEPTH", 200)
        patch.setattr(fast_scan, "_MIN_ROWS_PER_CANDIDATE", 8)
        patch.setattr(fast_scan, "_ROWS_PER_THREAD", 2000)
        yield patch


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    with make_library(tmp_path_factory.mktemp("codes") / "lib") as library:
        return library.current().clips


def encoded(gallery: Gallery) -> Encoding:
    encoding = encoding_of(gallery)
    assert encoding is not None
    return encoding


def first_of(vectors: Vectors, row: int = 0) -> Vectors:
    return {name: rows[row : row + 1] for name, rows in vectors.items()}


def recall(gallery: Gallery, queries: Vectors, weights: dict[str, float], allowed: np.ndarray | None = None) -> float:
    found = search_batch(gallery, LEVELS, queries, 10, weights, allowed)
    truth = search_batch(gallery, LEVELS, queries, 10, weights, allowed, exact=True)
    assert all(result.exact for result in truth)
    pairs = zip(found, truth, strict=True)
    return float(np.mean([len({h.id for h in a.hits} & {h.id for h in b.hits}) / len(b.hits) for a, b in pairs]))


@pytest.mark.parametrize(
    "weights",
    [{}, {"entity": 5.0, "global": 0.0}, {"global": 50.0}, {"entity": 0.0, "action": 0.0, "relation": 0.0}],
)
def test_nearly_every_hit_is_proposed(gallery: Gallery, weights: dict[str, float]) -> None:
    """Whatever the weights are, and whichever levels rows and queries lack: nothing was built for them."""
    queries = clustered(50, seed=9)
    results = search_batch(gallery, LEVELS, queries, 10, weights)
    assert not any(result.exact or result.certified for result in results)
    assert max(result.candidates for result in results) <= 200
    assert recall(gallery, queries, weights) >= 0.97


def test_a_query_alone_is_answered_as_in_a_batch(gallery: Gallery) -> None:
    """By threads, and by FAISS's own."""
    queries = clustered(6, seed=5)
    for i, result in enumerate(search_batch(gallery, LEVELS, queries, 10, {})):
        assert search(gallery, LEVELS, first_of(queries, i), 10, {}).hits == result.hits


def test_scores_of_approximate_answers_are_true(gallery: Gallery) -> None:
    queries = clustered(5, seed=5)
    for found, truth in zip(
        search_batch(gallery, LEVELS, queries, 10, {}),
        search_batch(gallery, LEVELS, queries, SIZE, {}, exact=True),
        strict=True,
    ):
        scores = {hit.id: hit.score for hit in truth.hits}
        assert [hit.score for hit in found.hits] == [scores[hit.id] for hit in found.hits]


def test_what_codes_say_is_near_the_score_of_any_row(gallery: Gallery) -> None:
    """Also among rows that have different levels, whose scores are means over different weights."""
    levels = (LevelSpec("global", DIM, "identity", 4.0, -1.0), *LEVELS[1:])
    queries = clustered(1, seed=3, missing=0)
    (proposal,) = fast_scan.propose(gallery, make_question(levels, queries, {}), 300)
    rows = proposal.rows
    assert not proposal.complete
    truth = search(gallery, levels, queries, SIZE, {}, exact=True)
    ranks = {hit.id: rank for rank, hit in enumerate(truth.hits)}
    proposed = [ranks[int(item)] for item in gallery.row_ids[rows]]
    assert len(set(proposed)) == 300
    assert np.mean(np.array(proposed) < 300) > 0.85
    assert len({tuple(row) for row in gallery.present[rows]}) > 4


def test_rows_without_any_level_of_the_query_are_not_proposed(tmp_path: Path) -> None:
    vectors = clustered(SIZE, seed=1, missing=0)
    vectors["action"][40:] = 0
    with Library.create(tmp_path / "lib", SPEC) as library:
        changes = {"clips": rows_of(vectors), "captions": empty_rows(SPEC.levels)}
        publish(library.path, SPEC, changes, approximate_from=1000)
        weights = {"global": 0.0, "entity": 0.0, "relation": 0.0}
        result = search(library.current().clips, LEVELS, clustered(1, seed=2, missing=0), 15, weights)
        assert result.exact, "all that share a level were looked at"
        assert (len(result.hits), result.candidates) == (15, 40)
        assert max(hit.id for hit in result.hits) <= 40


@pytest.mark.parametrize(("kept", "approximate"), [(0.8, True), (0.05, False), (0.001, False)])
def test_a_filter_leaves_k_hits_however_narrow_it_is(gallery: Gallery, kept: float, approximate: bool) -> None:
    rng = np.random.default_rng(8)
    allowed = np.sort(rng.choice(gallery.ids, max(10, int(kept * SIZE)), replace=False))
    queries = clustered(20, seed=10)
    results = search_batch(gallery, LEVELS, queries, 10, {}, allowed)
    assert all(len(result.hits) == 10 for result in results)
    assert all({hit.id for hit in result.hits} <= set(allowed.tolist()) for result in results)
    assert {result.exact for result in results} == {not approximate}
    assert recall(gallery, queries, {}, allowed) >= 0.97


def test_a_filter_that_hides_what_is_proposed_leads_to_a_scan(gallery: Gallery) -> None:
    """Of two queries that one alone is scanned whose best rows are all hidden."""
    queries = clustered(2, seed=1, missing=0)
    assert abs(queries["entity"][0] @ queries["entity"][1]) < 0.3, "of two topics"
    best = search(gallery, LEVELS, first_of(queries), 300, {}, exact=True)
    allowed = np.setdiff1d(gallery.ids, [hit.id for hit in best.hits])
    found = search_batch(gallery, LEVELS, queries, 10, {}, allowed)
    truth = search_batch(gallery, LEVELS, queries, 10, {}, allowed, exact=True)
    assert [result.exact for result in found] == [True, False]
    assert [hit.id for hit in found[0].hits] == [hit.id for hit in truth[0].hits]


def test_a_search_deeper_than_codes_are_good_for_scans(gallery: Gallery) -> None:
    query = clustered(1, seed=3, missing=0)
    result = search(gallery, LEVELS, query, 500, {})
    assert (result.exact, len(result.hits)) == (True, 500)
    assert search(gallery, LEVELS, query, 5, {}, exact=True).exact
    assert search(gallery, LEVELS, query, 5, {}).exact is False


def change(library: Library, ids: np.ndarray, staged: Rows, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Publish what the indexer would for these live ids and staged rows; returns the new clips."""
    monkeypatch.setattr(segment_plan, "_SMALL", 30)
    live = library.current()
    fresh = from_arrays(*staged)
    clips = plan_segments(ids, live.clips, fresh.only(np.setdiff1d(ids, live.clips.ids)))
    publish(library.path, SPEC, {"clips": clips, "captions": empty_rows(SPEC.levels)}, live)
    return library.current().clips


def test_new_items_are_encoded_and_nothing_else_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib") as library:
        before = library.current().clips
        known = before.joint_codes[0][1]
        added = clustered(40, seed=2, missing=0)
        ids = np.concatenate([before.ids[before.ids % 100 != 7], np.arange(SIZE + 1, SIZE + 41)])
        monkeypatch.setattr(product_codes, "_ITERATIONS", -1)  # to train would fail
        after = change(library, ids, rows_of(added, SIZE + 1), monkeypatch)
        assert after.ids.tolist() == ids.tolist()
        for name in ("global.faiss", "global.pq.faiss", "action.codes.npy", "ids.npy"):
            assert (before.segments[0].folder / name).samefile(after.segments[0].folder / name)
        assert [len(segment) for segment in after.segments] == [SIZE, 40]
        assert after.joint_codes[0][1] is known
        assert (encoded(after).rows, encoded(after).later) == (SIZE, 40)
        assert encoded(after).training_due is None
        for exact in (False, True):
            found = search_batch(after, LEVELS, added, 5, {}, exact=exact)
            assert {result.exact for result in found} == {exact}
            assert [result.hits[0].id for result in found] == list(range(SIZE + 1, SIZE + 41))
            assert all(hit.id % 100 != 7 or hit.id > SIZE for result in found for hit in result.hits)


def test_large_neighbours_are_searched_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They find what a search of each alone finds, and later segments cost no more parts than their rows need."""
    monkeypatch.setattr(joint_codes_module, "_PART", 10_000)
    monkeypatch.setattr(segment_plan, "_MAX_NEW_ROWS", 300)
    queries = clustered(20, seed=4, missing=0)
    with make_library(tmp_path / "lib", n=1800) as library:
        apart = library.current().clips
        assert len(apart.segments) == 6
        alone = search_batch(apart, LEVELS, queries, 10, {})
        assert [start for start, _ in apart.joint_codes] == [0, 300, 600, 900, 1200, 1500]
        monkeypatch.setattr(joint_codes_module, "_LARGE", 100)
        monkeypatch.setattr(joint_codes_module, "_GROUP", 900)
        del vars(apart)["joint_codes"]
        assert [start for start, _ in apart.joint_codes] == [0, 900]
        patterns = len(apart.patterns)
        assert sum(len(own.parts) for _, own in apart.joint_codes) <= 2 * patterns
        together = search_batch(apart, LEVELS, queries, 10, {})
    assert [[hit.id for hit in result.hits] for result in together] == [
        [hit.id for hit in result.hits] for result in alone
    ]


def test_codes_of_a_segment_that_is_written_again_come_from_the_same_codebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_library(tmp_path / "lib", n=1500) as library:
        before = library.current().clips
        book = faiss.vector_to_array(before.segments[0].pq["action"].pq.centroids)
        ids = np.setdiff1d(np.arange(1, 1801), np.arange(3, 1500, 4))
        after = change(library, ids, rows_of(clustered(300, seed=2), 1501), monkeypatch)
        assert after.row_ids.tolist() == ids.tolist()
        assert (encoded(after).rows, encoded(after).later) == (1500, 300)
        for segment in after.segments:
            index = segment.pq["action"]
            assert np.array_equal(faiss.vector_to_array(index.pq.centroids), book)
            rows = segment.rows("action", np.arange(len(segment)))
            assert np.array_equal(product_codes.codes_of(index), index.sa_encode(product_codes.fill(rows)))


def test_drift_asks_for_training_and_training_settles_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib", n=1500) as library:
        strange = {name: 10 * rows for name, rows in clustered(100, seed=12).items()}
        after = change(library, np.arange(1, 1601), rows_of(strange, 1501), monkeypatch)
        due = encoded(after).training_due
        assert due is not None
        assert "New items do not fit the codebook of level" in due
        few = replace(encoded(after), later=14)
        assert few.training_due is None
        live_ids = after.ids
        monkeypatch.setattr(
            publishing.CatalogWriter, "live_ids", lambda self, kind, _: live_ids if kind == "clips" else live_ids[:0]
        )
        known = after.joint_codes
        settled = publishing.encode_again(library.path, 1000).clips
        assert encoded(settled).training_due is None
        assert np.array_equal(settled.ids, after.ids)
        assert settled.segments[0].file_id("action") == after.segments[0].file_id("action"), "vectors are not copied"
        assert settled.joint_codes[0][1] is not known[0][1], "its codes are others"
        assert np.array_equal(settled.vectors(settled.ids)["action"], after.vectors(after.ids)["action"])
        scanned = publishing.encode_again(library.path, 2000).clips
        assert encoding_of(scanned) is None
        assert not list(scanned.segments[0].folder.glob("*.pq.faiss"))


def test_readers_see_one_generation_each_while_codes_are_swapped(tmp_path: Path) -> None:
    """Generations alternate between two sets of vectors: every answer is that of one of them, with its own codes."""
    contents = [clustered(1200, seed, missing=0) for seed in (21, 22)]
    query = clustered(1, seed=23, missing=0)
    with Library.create(tmp_path / "lib", SPEC) as library:

        def publish_one(number: int) -> None:
            changes = {"clips": rows_of(contents[number % 2]), "captions": empty_rows(SPEC.levels)}
            publish(library.path, SPEC, changes, approximate_from=1000)

        def answer(clips: Gallery) -> list:
            return [search(clips, LEVELS, query, 5, {}, exact=exact).hits for exact in (False, True)]

        answers = {}
        for number in (2, 3):
            publish_one(number)
            answers[int(library.current().name) % 2] = answer(library.current().clips)
        assert answers[0] != answers[1]
        done = threading.Event()

        def read() -> set[int]:
            seen = set()
            while not done.is_set():
                generation = library.current()
                which = int(generation.name) % 2
                assert answer(generation.clips) == answers[which]
                seen.add(which)
            return seen

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            try:
                for number in (4, 5):
                    publish_one(number)
            finally:
                done.set()
            assert set.union(*(reader.result() for reader in readers)) == {0, 1}


@pytest.mark.parametrize("dim", [1, 16, 65])
@pytest.mark.parametrize("count", [0, 3, 500])
def test_codes_are_those_of_an_index_that_faiss_reads(tmp_path: Path, dim: int, count: int) -> None:
    """An `IndexPQ` per level; side by side they give the sums of what each gives alone."""
    rng = np.random.default_rng(dim)
    rows = rng.standard_normal((count, dim)).astype(np.float32)
    index = product_codes.with_codebook(product_codes.train_codebook(dim, rows))
    if not count:
        assert product_codes.codes_of(index).shape == (0, index.code_size)
        assert product_codes.coding_loss(index, rows) == 0
        return
    index.add(product_codes.fill(rows))
    faiss.write_index(index, str(tmp_path / "level.pq.faiss"))
    read = faiss.read_index(str(tmp_path / "level.pq.faiss"))
    codes = product_codes.codes_of(read)
    assert codes.shape == (count, -(-dim // 4))
    decoded = read.reconstruct_n(0, count)
    assert not decoded[:, dim:].any()
    lost = np.square(decoded[:, :dim] - rows).sum() / np.square(rows).sum()
    assert product_codes.coding_loss(read, rows) == pytest.approx(lost, rel=1e-5)
    assert lost < 0.2
    tables = product_codes.tables_of([read, read])
    both = product_codes.fast_scan_index(tables, np.concatenate([codes, codes], axis=1))
    query = rng.standard_normal((1, dim)).astype(np.float32)
    asked = product_codes.fast_scan_queries(tables, np.tile(product_codes.fill(query), 2))
    scores, found = both.search(asked, count // 2)
    expected = 2 * decoded[:, :dim] @ query[0]
    np.testing.assert_allclose(scores[0], expected[found[0]], atol=0.03 * np.abs(expected).max())


def test_sums_over_many_numbers_do_not_overflow() -> None:
    """Vectors as wide as four levels of 768 numbers, near the query at every number: FAISS adds up in 16 bits."""
    rng = np.random.default_rng(0)
    mean = rng.standard_normal(3072)
    rows = (mean + 0.3 * rng.standard_normal((400, 3072))).astype(np.float32)
    index = product_codes.train_codebook(3072, rows - mean)  # which the rows are at the edge of
    index.add(rows.astype(np.float32))
    tables = product_codes.tables_of([index])
    joined = product_codes.fast_scan_index(tables, product_codes.codes_of(index))
    query = mean[None].astype(np.float32)
    scores, found = joined.search(product_codes.fast_scan_queries(tables, query), 300)
    expected = index.reconstruct_n(0, 400) @ query[0]
    np.testing.assert_allclose(scores[0], expected[found[0]], rtol=0.003)


def test_a_sigmoid_that_is_flat_still_has_an_order() -> None:
    spec = LevelSpec("global", 1, "sigmoid", 100.0)
    slope, offset = fast_scan._tangent(
        spec, np.ones((1, 1), np.float32), np.linspace(0, 9, 50, dtype=np.float32)[:, None]
    )
    assert slope[0] == pytest.approx(2.0)
    assert offset[0] < 0
