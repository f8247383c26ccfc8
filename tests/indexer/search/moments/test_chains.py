"""Chains of clips against trying all of them. 100,000 cases: `python -m benchmarks.search.chains`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from indexer.search.filters import ClipTable
from indexer.search.moments.best_moments import best_moments
from indexer.search.moments.timeline import Timeline, largest
from indexer.search.question import make_question
from model.levels import LEVEL_NAMES, LevelSpec
from tests.indexer.engines import Engine
from tests.indexer.search.moments.brute_force import best_by_trying, check

DIM = 8


def test_chains_equal_trying_them_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        check(rng)


def test_the_largest_of_every_range() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(50)
    first = rng.integers(0, 51, 500)
    last = rng.integers(0, 51, 500)
    expected = [max(values[a:b], default=-np.inf) for a, b in zip(first, last, strict=True)]
    assert largest(values, first, last).tolist() == expected


def specs() -> tuple[LevelSpec, ...]:
    return tuple(
        LevelSpec(name, DIM, "sigmoid", 4.0, -1.0) if name == "global" else LevelSpec(name, DIM, weight=0.7)
        for name in LEVEL_NAMES
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("moments", [1, 2, 3])
def test_the_best_chains_and_films_of_a_gallery(engine: Engine, seed: int, moments: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = 40, 7
    ids = np.sort(rng.choice(1000, n, replace=False)).astype(np.int64) + 1
    starts = np.round(rng.uniform(0, 30, n), 1)
    table = ClipTable(ids, rng.integers(1, 6, n).astype(np.int64), starts, starts + np.round(rng.uniform(0.5, 4, n), 1))
    vectors = {name: rng.standard_normal((n, DIM)).astype(np.float32) for name in LEVEL_NAMES}
    vectors["action"][rng.random(n) < 0.3] = 0
    queries = {name: rng.standard_normal((moments, DIM)).astype(np.float32) for name in LEVEL_NAMES}
    queries["relation"][0] = 0
    question = make_question(specs(), queries, {})
    within = [0.0, 5.0, 9.5][:moments]
    allowed = ids[rng.random(n) < 0.9]

    scores = np.full((moments, n), -np.inf)
    for column in np.flatnonzero(np.isin(ids, allowed)):
        for moment in range(moments):
            total = norm = 0.0
            for spec in specs():
                v, q = vectors[spec.name][column].astype(np.float64), queries[spec.name][moment].astype(np.float64)
                if v.any() and q.any():
                    total += spec.weight * float(spec.activate(np.array(v @ q)))
                    norm += spec.weight
            scores[moment, column] = total / norm
    expected = best_by_trying(table, scores, within)
    video_of = dict(zip(ids.tolist(), table.video_ids.tolist(), strict=True))

    with tempfile.TemporaryDirectory() as folder:
        gallery = engine.make(Path(folder), specs(), ids.tolist(), vectors)
        timeline = Timeline.of(table)
        # Another engine filters by its own columns or by ids, as the files do.
        chains = best_moments(gallery, timeline, question, within, k, allowed)
        films = best_moments(gallery, timeline, question, within, 3, allowed, films=True)
        all_films = best_moments(gallery, timeline, question, within, 50, allowed, films=True)
    assert chains.exact
    assert [chain.hits[-1].id for chain in chains.chains] == sorted(expected, key=lambda last: -expected[last])[:k]
    for chain in chains.chains:
        assert chain.score == pytest.approx(expected[chain.hits[-1].id] / moments)
        assert chain.score == pytest.approx(sum(hit.score for hit in chain.hits) / moments)
        assert len({video_of[hit.id] for hit in chain.hits}) == 1
    best: dict[int, float] = {}
    for last, total in expected.items():
        best[video_of[last]] = max(best.get(video_of[last], -np.inf), total / moments)
    ranked = sorted(best, key=lambda video: -best[video])
    assert [video_of[film.hits[-1].id] for film in all_films.chains] == ranked
    assert [video_of[film.hits[-1].id] for film in films.chains] == ranked[:3]
    assert [film.score for film in films.chains] == pytest.approx([best[video] for video in ranked[:3]])
    if moments == 1:
        for film in films.chains:
            shown = [film.hits[0], *film.others]
            mine = [score for last, score in expected.items() if video_of[last] == video_of[shown[0].id]]
            assert [hit.score for hit in shown] == pytest.approx(sorted(mine, reverse=True))


def test_no_chain_where_nothing_follows(engine: Engine, tmp_path: Path) -> None:
    vectors = {name: np.ones((2, DIM), np.float32) for name in LEVEL_NAMES}
    gallery = engine.make(tmp_path, specs(), [1, 2], vectors)
    table = ClipTable(np.array([1, 2]), np.array([1, 2]), np.array([0.0, 5.0]), np.array([5.0, 9.0]))
    question = make_question(specs(), {name: np.ones((2, DIM), np.float32) for name in LEVEL_NAMES}, {})
    assert best_moments(gallery, Timeline.of(table), question, [0, 60], 5).chains == []
