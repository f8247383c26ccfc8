"""Answers from lists of any depth are those of float64, and what says that nothing better was missed is true."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pymilvus.exceptions import MilvusException

from indexer.milvus import gallery as gallery_module
from indexer.milvus import score_bounds
from indexer.milvus.address import parse_address
from indexer.milvus.candidate_search import CandidateSearch
from indexer.milvus.collections import GalleryFacts, Lists
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.home_gallery import MilvusHomeGallery
from indexer.milvus.score_bounds import LevelList, ceilings, product_error, unseen_ceiling
from indexer.search.question import make_question
from indexer.search.top_k import search, search_batch
from model.levels import LEVEL_NAMES, LevelSpec, Vectors
from quartet.errors import InputError, LibraryError
from tests.indexer.search.test_exact import random_specs, random_vectors, true_scores

ADDRESS = parse_address("milvus://nowhere:1/library")


@dataclass
class Server:
    """What Milvus does of a search, on arrays: float32 products in any order of addition, ties in any order.

    off  what is added to the products of every item, as roundings may do
    """

    vectors: Vectors
    rng: np.random.Generator
    deepest: int = 0
    fetched: int = 0
    lost: float = 0.0
    off: np.ndarray | None = None

    def search(self, collection: str, data: Any, anns_field: str, limit: int, filter: str, **others: Any) -> Any:
        rows = self.vectors[collection.removeprefix("clips_")]
        kept = np.flatnonzero(rows.any(axis=1) if filter else np.ones(len(rows), np.bool_))
        if "nprobe" in others["search_params"]["params"]:
            kept = kept[self.rng.random(len(kept)) >= self.lost]
        self.deepest = max(self.deepest, limit)
        answers = []
        for query in data:
            shuffled = self.rng.permutation(len(query))
            products = (rows[kept][:, shuffled] @ query[shuffled]).astype(np.float64)
            products += 0 if self.off is None else self.off[kept]
            order = np.lexsort((self.rng.random(len(kept)), -products))[:limit]
            answers.append(SimpleNamespace(ids=kept[order].tolist(), distances=products[order].tolist()))
        return answers

    def query(self, collection: str, ids: list[int], output_fields: list[str]) -> list[dict[str, Any]]:
        rows = self.vectors[collection.removeprefix("clips_")]
        self.fetched += len(ids)
        return [{"id": i, "vector": rows[i].tolist()} for i in ids]


def gallery_of(server: Server, specs: tuple[LevelSpec, ...], lists: Lists | None = None) -> MilvusGallery:
    vectors = [server.vectors[spec.name].astype(np.float64) for spec in specs]
    present = np.stack([rows.any(axis=1) for rows in vectors], axis=1)
    norms = {
        spec.name: float(np.linalg.norm(rows, axis=1).max(initial=0.0)) * (1 + 1e-12)
        for spec, rows in zip(specs, vectors, strict=True)
    }
    facts = GalleryFacts(len(present), norms, np.unique(present, axis=0).tolist(), lists)
    return MilvusGallery(server, ADDRESS, "clips", specs, facts)  # type: ignore[arg-type]


def random_queries(rng: np.random.Generator, specs: tuple[LevelSpec, ...]) -> Vectors:
    queries = {spec.name: random_vectors(rng, (spec,), 3)[spec.name] for spec in specs}
    queries[specs[0].name][:, 0] += 1e-6  # no query is all zeros
    return queries


@pytest.mark.parametrize("seed", range(40))
def test_exact_answers_are_exact_however_shallow_the_lists(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 queries per seed, most of galleries that are far deeper than the first lists."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(gallery_module, "_FIRST_DEPTH", 2)
    for _ in range(10):
        specs = random_specs(rng)
        vectors = random_vectors(rng, specs, int(rng.choice([0, 1, 30, 300])))
        queries, k = random_queries(rng, specs), int(rng.integers(1, 6))
        server = Server(vectors, rng)
        for i, result in enumerate(search_batch(gallery_of(server, specs), specs, queries, k, {})):
            scores = true_scores(specs, vectors, {name: rows[i : i + 1] for name, rows in queries.items()})
            count = min(k, int((scores > -np.inf).sum()))
            assert result.exact
            assert len(result.hits) == count
            best = np.sort(scores)[::-1][:count]
            np.testing.assert_allclose([hit.score for hit in result.hits], best, rtol=1e-12, atol=1e-12)
            own = [(-hit.score, hit.id) for hit in result.hits]
            assert own == sorted(own)


@pytest.mark.parametrize("seed", range(20))
def test_ceilings_are_never_below_the_truth(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for _ in range(10):
        specs = random_specs(rng)
        vectors = random_vectors(rng, specs, 60)
        query = {name: rows[:1] for name, rows in random_queries(rng, specs).items()}
        (question,) = make_question(specs, query, {})
        scores = true_scores(specs, vectors, query)
        present = np.stack([vectors[spec.name].any(axis=1) for spec in specs], axis=1)
        lists = {}
        for column, spec in question.used:
            products = vectors[spec.name].astype(np.float64) @ query[spec.name][0].astype(np.float64)
            rows = np.flatnonzero(present[:, column])
            best = rows[np.argsort(-products[rows])][: int(rng.integers(1, 70))]
            lists[column] = LevelList(best, products[best], 1e-9, ended=len(best) == len(rows))
        patterns = np.unique(present, axis=0)
        listed = np.unique(np.concatenate([own.ids for own in lists.values()]))
        assert (ceilings(question, patterns, lists, listed) >= scores[listed]).all()
        unseen = np.setdiff1d(np.flatnonzero(scores > -np.inf), listed)
        bound = unseen_ceiling(question, patterns, lists)
        assert not len(unseen) if bound is None else (scores[unseen] <= bound).all()


def unit_gallery(n: int, lists: Lists | None = None, lost: float = 0.0) -> tuple[Server, MilvusGallery]:
    rng = np.random.default_rng(5)
    specs = tuple(LevelSpec(name, 32) for name in LEVEL_NAMES)
    shared = rng.standard_normal((n, 32))
    vectors = {}
    for name in LEVEL_NAMES:
        rows = shared + 0.5 * rng.standard_normal((n, 32))
        vectors[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    server = Server(vectors, rng, lost=lost)
    return server, gallery_of(server, specs, lists)


def test_it_is_of_use() -> None:
    """Of 5,000 vectors whose levels agree, few are fetched, and the lists stay shallow."""
    server, gallery = unit_gallery(5000)
    query = {name: rows[:1] for name, rows in server.vectors.items()}
    result = search(gallery, gallery.levels, query, 10, {})
    assert result.exact
    assert result.hits[0].id == 0
    assert server.deepest < 5000
    assert 4 * result.candidates == server.fetched < 1200


def test_roundings_of_milvus_hide_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best item's product comes out so low that the first list lacks it, and its end is below a hit."""
    monkeypatch.setattr(gallery_module, "_FIRST_DEPTH", 2)
    spec = LevelSpec("global", 32)
    query = np.eye(1, 32, dtype=np.float32)
    error = product_error(spec, 1.0, query[0])
    rows = np.zeros((6, 32), np.float32)
    rows[:, 0] = 1 - error * np.array([0.5, 0.0, 0.8, 0.9, 1.0, 1.1])
    server = Server({"global": rows}, np.random.default_rng(0), off=np.array([0, -0.9 * error, 0, 0, 0, 0]))
    result = search(gallery_of(server, (spec,)), (spec,), {"global": query}, 1, {})
    assert (result.hits[0].id, result.exact) == (1, True)


def test_an_item_that_may_tie_with_the_last_hit_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties go to the lower id, which a list may name last or not at all; here no rounding lifts the bounds above it."""
    monkeypatch.setattr(score_bounds, "_SLACK", 0.0)
    (question,) = make_question([LevelSpec("global", 1)], {"global": np.ones((1, 1), np.float32)}, {})
    contest = CandidateSearch(question, 1, np.ones((1, 1), np.bool_), exhaustive=True)

    def take(ids: list[int], ended: bool) -> None:
        contest.add_lists({0: LevelList(np.array(ids), np.ones(len(ids)), 0.0, ended)})

    def score_next() -> list[int]:
        ids = contest.next_to_score(1)
        contest.score(ids, {"global": np.ones((len(ids), 1), np.float32)})
        return ids.tolist()

    take([8, 6], ended=False)
    assert [score_next(), score_next(), score_next()] == [[6], [8], []]
    assert not contest.is_decided
    take([8, 6, 3], ended=True)
    assert score_next() == [3]
    assert contest.is_decided
    assert [hit.id for hit in contest.result({}).hits] == [3]


def test_lists_of_an_index_are_never_called_exact() -> None:
    server, gallery = unit_gallery(500, Lists(16, 2, 64, 0.9, 0.9), lost=0.3)
    query = {name: rows[:1] for name, rows in server.vectors.items()}
    specs = gallery.levels
    result = search(gallery, specs, query, 10, {})
    assert not result.exact
    assert server.deepest == 64
    truth = true_scores(specs, server.vectors, query)
    assert [hit.score for hit in result.hits] == pytest.approx(truth[[hit.id for hit in result.hits]])


class RestartedServer(Server):
    """Collections have to be loaded before they answer, as after a restart of Milvus."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.vectors, server.rng)
        self.loaded: list[str] = []

    def load_collection(self, collection: str) -> None:
        self.loaded.append(collection)

    def search(self, collection: str, *rest: Any, **others: Any) -> Any:
        if collection not in self.loaded:
            raise MilvusException(code=101, message="collection not loaded")
        return super().search(collection, *rest, **others)


def test_a_restarted_server_loads_its_collections_again() -> None:
    server, gallery = unit_gallery(50)
    query = {name: rows[:1] for name, rows in server.vectors.items()}
    before = search(gallery, gallery.levels, query, 10, {})
    restarted = RestartedServer(server)
    after = search(gallery_of(restarted, gallery.levels), gallery.levels, query, 10, {})
    assert after.hits == before.hits
    assert sorted(restarted.loaded) == sorted(f"clips_{name}" for name in LEVEL_NAMES)


def test_levels_that_disagree_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    server, gallery = unit_gallery(50)
    query = {name: rows[:1] for name, rows in server.vectors.items()}
    given = server.query

    def incomplete(collection: str, ids: list[int], output_fields: list[str]) -> list[dict[str, Any]]:
        return given(collection, ids[1:] if collection == "clips_action" else ids, output_fields)

    monkeypatch.setattr(server, "query", incomplete)
    with pytest.raises(LibraryError, match="levels of clips in Milvus disagree"):
        search(gallery, gallery.levels, query, 10, {})


def test_more_than_milvus_gives_is_refused() -> None:
    server, gallery = unit_gallery(3)
    query = {name: rows[:1] for name, rows in server.vectors.items()}
    assert len(search(gallery, gallery.levels, query, 20_000, {}).hits) == 3
    gallery.facts = GalleryFacts(20_000, gallery.facts.norms, gallery.facts.patterns)
    with pytest.raises(InputError, match="at most 16,384 hits, not 20,000"):
        search(gallery, gallery.levels, query, 20_000, {})


class SharedServer(Server):
    """Its collections have items of other generations too."""

    def search(self, collection: str, data: Any, anns_field: str, limit: int, filter: str, **others: Any) -> Any:
        own, _, rest = filter.removeprefix("id <= ").partition(" and ")
        count = int(own) + 1
        visible = Server({name: rows[:count] for name, rows in self.vectors.items()}, self.rng)
        return visible.search(collection, data, anns_field, limit, rest, **others)


@pytest.mark.parametrize("seed", range(10))
def test_answers_of_a_generation_at_home_are_exact_among_the_items_of_others(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(300 + seed)
    monkeypatch.setattr(gallery_module, "_FIRST_DEPTH", 2)
    for _ in range(10):
        specs = random_specs(rng)
        vectors = random_vectors(rng, specs, int(rng.choice([2, 30, 300])))
        count = len(next(iter(vectors.values())))
        ids = np.flatnonzero(rng.random(count) < rng.choice([0.1, 0.9]))
        if not len(ids):
            continue
        queries, k = random_queries(rng, specs), int(rng.integers(1, 6))
        server = SharedServer(vectors, rng)
        home = SimpleNamespace(client=server, address=ADDRESS)
        gallery = MilvusHomeGallery(home, "clips", specs, ids, gallery_of(server, specs).facts)  # type: ignore[arg-type]
        own = {name: rows[ids] for name, rows in vectors.items()}
        for i, result in enumerate(search_batch(gallery, specs, queries, k, {})):
            scores = true_scores(specs, own, {name: rows[i : i + 1] for name, rows in queries.items()})
            best = np.sort(scores[scores > -np.inf])[::-1][:k]
            assert result.exact and {hit.id for hit in result.hits} <= set(ids.tolist())
            np.testing.assert_allclose([hit.score for hit in result.hits], best, rtol=1e-12, atol=1e-12)
