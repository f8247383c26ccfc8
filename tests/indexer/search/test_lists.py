"""Approximate search: recall, an honest bound, filters, additions without training."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.search import top_k as search_module
from indexer.search.approximate.inverted_lists import Tuning, tuning_of
from indexer.search.approximate.list_training import ListSettings, list_count
from indexer.search.top_k import approximate_batch, search, search_batch
from indexer.search.vectors.gallery import Gallery, Rows, empty_rows
from indexer.store import publishing as assemble
from indexer.store.going_live import publish
from indexer.store.library import Library
from model.encoder import EncoderSpec
from model.levels import LEVEL_NAMES, FloatArray, LevelSpec, Vectors

DIM = 16
LEVELS = (
    LevelSpec("global", DIM, "sigmoid", 4.0, -1.0),
    *(LevelSpec(name, DIM, weight=weight) for name, weight in zip(LEVEL_NAMES[1:], (1.0, 0.5, 2.0), strict=True)),
)
SPEC = EncoderSpec("made", "made-0", LEVELS, 4, "random vectors")
SETTINGS = ListSettings(approximate_from=1000, recall=0.95)


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


def make_library(path: Path, n: int = 4000, seed: int = 1) -> Library:
    library = Library.create(path, SPEC)
    publish(path, SPEC, {"clips": rows_of(clustered(n, seed)), "captions": empty_rows(SPEC.levels)}, settings=SETTINGS)
    return library


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    with make_library(tmp_path_factory.mktemp("lists") / "lib") as library:
        return library.current().clips


def tuned(gallery: Gallery) -> Tuning:
    tuning = tuning_of(gallery)
    assert tuning is not None
    return tuning


def recall(gallery: Gallery, queries: Vectors, weights: dict[str, float], allowed: np.ndarray | None = None) -> float:
    found = search_batch(gallery, LEVELS, queries, 10, weights, allowed)
    truth = search_batch(gallery, LEVELS, queries, 10, weights, allowed, exact=True)
    assert all(result.exact for result in truth)
    pairs = zip(found, truth, strict=True)
    return float(np.mean([len({h.id for h in a.hits} & {h.id for h in b.hits}) / len(b.hits) for a, b in pairs]))


def test_the_target_is_reached_on_queries_that_tuning_never_saw(gallery: Gallery) -> None:
    tuning = tuned(gallery)
    assert tuning.recall >= 0.95
    assert tuning.nprobe < list_count(4000)
    queries = clustered(50, seed=9)
    results = search_batch(gallery, LEVELS, queries, 10, {})
    assert not any(result.exact for result in results)
    assert max(result.candidates for result in results) < 4000 / 2
    assert recall(gallery, queries, {}) >= 0.9
    assert recall(gallery, queries, {"entity": 5.0, "global": 0.0}) >= 0.9


def test_a_level_that_weighs_nothing_is_never_searched(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = {name: rows[:1] for name, rows in clustered(1, seed=4, missing=0).items()}
    monkeypatch.setitem(gallery.segments[0].lists, "action", None)
    search(gallery, LEVELS, queries, 5, {"action": 0.0})
    with pytest.raises(AttributeError):
        search(gallery, LEVELS, queries, 5, {})


def test_scores_of_approximate_answers_are_true(gallery: Gallery) -> None:
    queries = clustered(5, seed=5)
    for found, truth in zip(
        search_batch(gallery, LEVELS, queries, 10, {}),
        search_batch(gallery, LEVELS, queries, 4000, {}, exact=True),
        strict=True,
    ):
        scores = {hit.id: hit.score for hit in truth.hits}
        assert [hit.score for hit in found.hits] == [scores[hit.id] for hit in found.hits]


@pytest.mark.parametrize("unwanted", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("depth", [10, 40, 1000])
def test_the_bound_holds_for_everything_unseen(gallery: Gallery, depth: int, unwanted: float) -> None:
    """With every list probed, the index could return all rows: none that was not scored may beat the bound.

    unwanted  weight of a part that is not wanted (`indexer.search.parts`)
    """
    queries, others = clustered(20, seed=6), clustered(20, seed=8)
    queries = {name: rows - np.float32(unwanted) * others[name] for name, rows in queries.items()}
    everywhere = Tuning(**{**tuned(gallery).to_json(), "nprobe": 10**6, "depth": depth})
    certified = 0
    truth = search_batch(gallery, LEVELS, queries, 4000, {}, exact=True)
    for found, full in zip(approximate_batch(gallery, LEVELS, queries, 10, {}, everywhere), truth, strict=True):
        assert found.bound is not None
        assert not found.exact
        hits = {hit.id for hit in found.hits}
        better = [hit for hit in full.hits if hit.id not in hits and hit.score > max(found.bound, found.hits[-1].score)]
        assert better == []
        if found.certified:
            certified += 1
            assert [hit.score for hit in found.hits] == [hit.score for hit in full.hits[:10]]
    # Where mostly something unlike is asked for, no depth settles it: then nothing is certified wrongly.
    assert certified == 20 if depth == 1000 and not unwanted else certified <= 20


def test_lists_that_gave_everything_leave_nothing_unseen(gallery: Gallery) -> None:
    queries = clustered(3, seed=7)
    everything = Tuning(**{**tuned(gallery).to_json(), "nprobe": 10**6, "depth": 5000})
    for found in approximate_batch(gallery, LEVELS, queries, 10, {}, everything):
        assert (found.bound, found.certified) == (None, True)


@pytest.mark.parametrize(("kept", "approximate"), [(0.5, True), (0.05, False), (0.001, False)])
def test_a_filter_leaves_k_hits_however_narrow_it_is(gallery: Gallery, kept: float, approximate: bool) -> None:
    rng = np.random.default_rng(8)
    allowed = np.sort(rng.choice(gallery.ids, max(10, int(kept * 4000)), replace=False))
    queries = clustered(20, seed=10)
    results = search_batch(gallery, LEVELS, queries, 10, {}, allowed)
    assert all(len(result.hits) == 10 for result in results)
    assert all({hit.id for hit in result.hits} <= set(allowed.tolist()) for result in results)
    assert {result.exact for result in results} == {not approximate}
    assert recall(gallery, queries, {}, allowed) >= 0.9


def test_a_search_deeper_than_the_lists_scans(gallery: Gallery) -> None:
    query = {name: rows[:1] for name, rows in clustered(1, seed=3, missing=0).items()}
    result = search(gallery, LEVELS, query, 500, {})
    assert (result.exact, len(result.hits)) == (True, 500)
    assert search_module.search(gallery, LEVELS, query, 5, {}, exact=True).exact
    assert search(gallery, LEVELS, query, 5, {}).exact is False


def change(library: Library, ids: np.ndarray, staged: Rows, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Publish what the indexer would for these live ids and staged rows; returns the new clips."""
    monkeypatch.setattr(assemble, "_LARGE", 1000)
    live = library.current()
    clips = assemble._change(ids, live.clips, staged, SPEC)
    captions = assemble._change(np.zeros(0, np.int64), live.captions, empty_rows(SPEC.levels), SPEC)
    publish(library.path, SPEC, {"clips": clips, "captions": captions}, live)
    return library.current().clips


def test_one_percent_more_rewrites_nothing_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib") as library:
        before = library.current().clips
        added = clustered(40, seed=2, missing=0)
        ids = np.concatenate([before.ids[before.ids % 100 != 7], np.arange(4001, 4041)])
        after = change(library, ids, rows_of(added, 4001), monkeypatch)
        assert after.ids.tolist() == ids.tolist()
        for name in ("global.faiss", "global.lists.faiss", "action.codes.npy", "ids.npy"):
            assert (before.segments[0].folder / name).samefile(after.segments[0].folder / name)
        assert [len(segment) for segment in after.segments] == [4000, 40]
        assert tuned(after).later == 40
        assert tuned(after).retraining_due is None
        for exact in (False, True):
            for i in range(40):
                query = {name: rows[i : i + 1] for name, rows in added.items()}
                result = search(after, LEVELS, query, 5, {}, exact=exact)
                assert result.exact is exact
                assert result.hits[0].id == 4001 + i
                assert all(hit.id % 100 != 7 or hit.id > 4000 for hit in result.hits)
        assert np.array_equal(after.vectors([4001, 1])["entity"][0], added["entity"][0])


def test_a_tenth_more_is_written_anew_with_the_old_centroids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib") as library:
        before = library.current().clips
        more = rows_of(clustered(600, seed=2), 4001)
        after = change(library, np.arange(1, 4601), more, monkeypatch)
        assert [len(segment) for segment in after.segments] == [4600]
        old, new = (g.segments[0].lists["global"].quantizer for g in (before, after))
        assert np.array_equal(old.reconstruct_n(0, old.ntotal), new.reconstruct_n(0, new.ntotal))
        assert recall(after, clustered(30, seed=11), {}) >= 0.9
        assert (tuned(after).rows, tuned(after).later) == (4000, 600)


def test_drift_asks_for_training_and_training_settles_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib") as library:
        rng = np.random.default_rng(12)
        strange = {s.name: rng.standard_normal((100, DIM)).astype(np.float32) for s in LEVELS}
        after = change(library, np.arange(1, 4101), rows_of(strange, 4001), monkeypatch)
        due = tuned(after).retraining_due
        assert due is not None
        assert "New items lie far from the lists at level" in due
        live = library.current()
        everything = live.clips.ids, live.clips.vectors(live.clips.ids)
        publish(library.path, SPEC, {"clips": everything, "captions": empty_rows(SPEC.levels)}, live, SETTINGS)
        assert tuned(library.current().clips).retraining_due is None


def test_a_target_that_cannot_be_met_is_said(gallery: Gallery) -> None:
    tuning = Tuning(**{**tuned(gallery).to_json(), "recall": 0.8, "target": 0.95})
    assert tuning.retraining_due == "The lists reach a recall of 0.800 and 0.95 was asked for."


def test_a_library_is_retrained_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_library(tmp_path / "lib", n=1500) as library:
        old = library.current().clips
        monkeypatch.setattr(assemble.CatalogWriter, "live_ids", lambda self, kind: old.ids if kind == "clips" else [])
        new = assemble.retrain(library.path, ListSettings(1200, 0.9)).clips
        assert tuned(new).target == 0.9
        assert np.array_equal(new.ids, old.ids)
        assert np.array_equal(new.vectors(new.ids)["action"], old.vectors(old.ids)["action"])
        scanned = assemble.retrain(library.path, ListSettings(2000, 0.9)).clips
        assert tuning_of(scanned) is None
        assert "IVF" in tuned(new).describe()


def test_eight_threads_see_one_generation_each_while_lists_are_swapped(tmp_path: Path) -> None:
    """Generations alternate between two sets of vectors: every answer is that of one of them, with its own lists."""
    contents = [clustered(1200, seed, missing=0) for seed in (21, 22)]
    query = {name: rows[:1] for name, rows in clustered(1, seed=23, missing=0).items()}
    settings = ListSettings(1000, 0.9)
    with Library.create(tmp_path / "lib", SPEC) as library:

        def publish_one(number: int) -> None:
            rows = rows_of(contents[number % 2])
            publish(library.path, SPEC, {"clips": rows, "captions": empty_rows(SPEC.levels)}, settings=settings)

        publish_one(0)
        publish_one(1)
        answers = {}
        for number in (2, 3):
            publish_one(number)
            clips = library.current().clips
            answers[number % 2] = [search(clips, LEVELS, query, 5, {}, exact=exact).hits for exact in (False, True)]
        assert answers[0] != answers[1]
        done = threading.Event()

        def read() -> set[int]:
            seen = set()
            while not done.is_set():
                generation = library.current()
                which = int(generation.name) % 2
                found = [search(generation.clips, LEVELS, query, 5, {}, exact=exact).hits for exact in (False, True)]
                assert found == answers[which]
                seen.add(which)
            return seen

        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(read) for _ in range(8)]
            try:
                for number in range(4, 8):
                    publish_one(number)
            finally:
                done.set()
            assert set.union(*(reader.result() for reader in readers)) == {0, 1}


class ShiftedWorld:
    """Clips and captions of the same topics; captions lie farther from the centres, and so from the lists of clips."""

    spec = SPEC

    def text_queries(self, vectors: Vectors) -> Vectors:
        # As a holographic head does: what asks is not what is stored.
        return {**vectors, "global": np.roll(vectors["global"], 1, axis=1)}

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": np.roll(vectors["global"], -1, axis=1)}

    def captions(self, n: int, seed: int) -> Vectors:
        rng = np.random.default_rng(seed)
        vectors = {}
        for name, rows in clustered(n, seed, missing=0).items():
            far = rows + 0.5 * rng.standard_normal(rows.shape)
            far = (far / np.linalg.norm(far, axis=1, keepdims=True)).astype(np.float32)
            vectors[name] = np.roll(far, -1, axis=1) if name == "global" else far
        return vectors


def test_lists_are_tuned_with_questions_as_people_ask_them(tmp_path: Path) -> None:
    """Captions ask for clips: tuned with clips the lists promise more than captions get, with captions they keep it."""
    world = ShiftedWorld()
    rows = {"clips": rows_of(clustered(4000, 1)), "captions": rows_of(world.captions(300, 2))}
    asked = world.text_queries(world.captions(200, 3))
    settings = ListSettings(approximate_from=1000, recall=0.97)
    reached = {}
    with Library.create(tmp_path / "lib", SPEC) as library:
        for encoder in (None, lambda: world):
            publish(library.path, SPEC, rows, settings=settings, encoder=encoder)
            clips = library.current().clips
            reached[tuned(clips).by] = recall(clips, asked, {})
            assert tuned(clips).recall >= 0.97
        assert reached[""] < 0.96 < reached["captions"]
        assert "for captions as questions" in tuned(clips).describe()
        few = {**rows, "captions": rows_of(world.captions(49, 2))}
        publish(library.path, SPEC, few, settings=settings, encoder=lambda: world)
        assert "for its own items as questions" in tuned(library.current().clips).describe()


def test_lists_are_tuned_anew_once_there_is_more_to_ask_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions that are added change how the clips are searched, not their files; without need no model is loaded."""
    world, loaded = ShiftedWorld(), []
    monkeypatch.setattr(assemble, "_LARGE", 1000)

    def load() -> ShiftedWorld:
        loaded.append(True)
        return world

    with make_library(tmp_path / "lib", n=1500) as library:
        lists = (library.current().clips.segments[0].folder / "global.lists.faiss").stat().st_ino
        for captions, by, questions, loads in (
            (49, "", 200, 0),
            (60, "captions", 60, 1),
            (119, "captions", 60, 1),
            (300, "captions", 200, 2),
            (20, "captions", 200, 2),
        ):
            live = library.current()
            clips = assemble._change(live.clips.ids, live.clips, empty_rows(SPEC.levels), SPEC)
            rows = rows_of(world.captions(captions, 2))
            publish(library.path, SPEC, {"clips": clips, "captions": rows}, live, encoder=load)
            now = library.current().clips
            assert (tuned(now).by, tuned(now).queries, len(loaded)) == (by, questions, loads)
            assert tuned(now).recall >= 0.95
            assert (now.segments[0].folder / "global.lists.faiss").stat().st_ino == lists
