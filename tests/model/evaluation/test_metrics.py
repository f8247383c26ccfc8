"""Retrieval metrics: by hand, against an independent loop, against scikit-learn's definitions, at the edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluation import scores as score_module
from model.evaluation.metrics import Measures, Retrieval, chance, evaluate, evaluate_scores, retrieval
from model.evaluation.ranks import Ranks, rank_all
from model.evaluation.relevance import per_caption, per_distinct_caption
from model.evaluation.scores import GivenScores, LevelScores
from model.levels import LEVEL_NAMES, LevelSpec, resolve_weights
from quartet.errors import InputError

OWNER = np.array([0, 0, 1])


def test_measures_by_hand() -> None:
    result = retrieval(np.array([[0.9, 0.1], [0.2, 0.3], [0.4, 0.8]], np.float32), OWNER)
    t2v, v2t = result.text_to_video, result.video_to_text
    # Ranks 1, 2, 1.
    assert t2v.r1 == pytest.approx(200 / 3)
    assert (t2v.r5, t2v.median_rank, t2v.queries) == (100, 1, 3)
    assert t2v.mean_rank == pytest.approx(4 / 3)
    assert t2v.mean_average_precision == pytest.approx(100 * (1 + 1 / 2 + 1) / 3)
    assert t2v.ndcg10 == pytest.approx(100 * (1 + 1 / math.log2(3) + 1) / 3)
    # Video 0: own texts at 0.9 and 0.2 with 0.4 between, ranks 1 and 3. Video 1: 0.8 leads.
    assert (v2t.r1, v2t.queries) == (100, 2)
    assert v2t.mean_average_precision == pytest.approx(100 * ((1 + 2 / 3) / 2 + 1) / 2)
    assert v2t.ndcg10 == pytest.approx(100 * ((1 + 1 / 2) / (1 + 1 / math.log2(3)) + 1) / 2)
    assert result.sum_r == pytest.approx(200 / 3 + 500)


def test_a_known_ranking() -> None:
    """Relevant items at places 1, 3 and 12 of 20: AP = (1 + 2/3 + 3/12) / 3, as textbooks do it."""
    ranks = Ranks(np.zeros(3, np.int64), np.array([1, 3, 12]), 20)
    assert ranks.average_precision[0] == pytest.approx((1 + 2 / 3 + 3 / 12) / 3)
    assert ranks.ndcg(10)[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2))
    precision, recall = ranks.precision_recall()
    np.testing.assert_allclose(precision[[0, 2, 11, 19]], [1, 2 / 3, 3 / 12, 3 / 20])
    np.testing.assert_allclose(recall[[0, 2, 11, 19]], [1 / 3, 2 / 3, 1, 1])


def test_repeated_captions_are_one_query_with_several_right_videos() -> None:
    captions = ["a dog", "a cat", "a dog", "a dog"]
    owner = np.array([0, 1, 2, 2])
    # Video 1 leads for "a dog"; videos 0 and 2 are both right, at ranks 2 and 3.
    scores = np.array([[0.5, 0.9, 0.4], [0.1, 0.2, 0.1], [0.5, 0.9, 0.4], [0.5, 0.9, 0.4]], np.float32)
    protocols = [per_caption(owner, 3), per_distinct_caption(owner, 3, captions)]
    rows, distinct = rank_all(GivenScores({"fused": scores}), protocols)["fused"]
    assert rows.text_to_video.best.tolist() == [2, 1, 3, 3]
    assert distinct.text_to_video.best.tolist() == [2, 1]
    np.testing.assert_allclose(distinct.text_to_video.average_precision, [(1 / 2 + 2 / 3) / 2, 1])
    # Video to text: the gallery holds two strings, and "a dog" is right for videos 0 and 2.
    assert distinct.video_to_text.gallery == 2
    assert distinct.video_to_text.best.tolist() == [1, 2, 1]
    # Row by row, the equal captions of other videos tie with a video's own and count against it.
    assert rows.video_to_text.best.tolist() == [3, 4, 2]
    with pytest.raises(InputError, match="3 captions for 4 rows"):
        per_distinct_caption(owner, 3, captions[:3])


# -- Against a loop that shares no code ---------------------------------------------------------------------------


def loop_ranks(scores: Sequence[float], relevant: set[int]) -> list[int]:
    """Ranks of the relevant items: sort by score, irrelevant before relevant where they tie."""
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], item in relevant))
    return [place for place, item in enumerate(order, 1) if item in relevant]


def loop_measures(rankings: list[list[int]], gallery: int) -> Measures:
    best = [ranks[0] for ranks in rankings]
    precision, ndcg = 0.0, 0.0
    for ranks in rankings:
        shown = {rank for rank in ranks if rank <= 10}
        precision += sum(sum(1 for other in ranks if other <= rank) / rank for rank in ranks) / len(ranks)
        ideal = sum(1 / math.log2(1 + place) for place in range(1, min(len(ranks), 10) + 1))
        ndcg += sum(1 / math.log2(1 + rank) for rank in shown) / ideal
    assert max(max(ranks) for ranks in rankings) <= gallery
    n, middle = len(best), sorted(best)
    median = (middle[(n - 1) // 2] + middle[n // 2]) / 2
    share = [100 * sum(1 for rank in best if rank <= k) / n for k in (1, 5, 10)]
    return Measures(*share, median, sum(best) / n, n, 100 * precision / n, 100 * ndcg / n)


def assert_same(found: Measures, expected: Measures) -> None:
    assert found.to_json() == pytest.approx(expected.to_json())


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores from few values, so that they tie often, some rows without any; captions that repeat."""
    videos = draw(st.integers(1, 14))
    owner = sorted(draw(st.lists(st.integers(0, videos - 1), min_size=1, max_size=24)))
    values = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])
    rows = []
    for _ in owner:
        row = draw(st.lists(values, min_size=videos, max_size=videos))
        rows.append([-math.inf] * videos if draw(st.integers(0, 4)) == 0 else row)
    captions = [draw(st.sampled_from("abcdefgh")) for _ in owner]
    return np.array(rows, np.float32), np.array(owner), captions


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from([1, 40, 10_000]))
def test_both_protocols_agree_with_a_loop(world: tuple[np.ndarray, np.ndarray, list[str]], block: int) -> None:
    scores, owner, captions = world
    texts, videos = scores.shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_module, "_BLOCK_SCORES", block)
        protocols = [per_caption(owner, videos), per_distinct_caption(owner, videos, captions)]
        rows, distinct = rank_all(GivenScores({"fused": scores}), protocols)["fused"]
    by_row = [loop_ranks(scores[t].tolist(), {int(owner[t])}) for t in range(texts)]
    assert_same(Measures.of(rows.text_to_video), loop_measures(by_row, videos))
    own = {v: {t for t in range(texts) if owner[t] == v} for v in sorted(set(owner.tolist()))}
    columns = [loop_ranks(scores[:, v].tolist(), of_v) for v, of_v in own.items()]
    assert_same(Measures.of(rows.video_to_text), loop_measures(columns, texts))
    strings = list(dict.fromkeys(captions))
    first = [captions.index(string) for string in strings]
    owners = [{int(owner[t]) for t in range(texts) if captions[t] == string} for string in strings]
    by_string = [loop_ranks(scores[t].tolist(), right) for t, right in zip(first, owners, strict=True)]
    assert_same(Measures.of(distinct.text_to_video), loop_measures(by_string, videos))
    columns = [
        loop_ranks([float(scores[t, v]) for t in first], {s for s in range(len(strings)) if v in owners[s]})
        for v in own
    ]
    assert_same(Measures.of(distinct.video_to_text), loop_measures(columns, len(strings)))


def test_no_tie_agrees_with_scikit_learn() -> None:
    """scikit-learn's label ranking average precision and nDCG, from its documented examples' definitions."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, owner = rng.permutation(600).reshape(40, 15).astype(np.float32), np.sort(rng.integers(0, 15, 40))
    both = rank_all(GivenScores({"fused": scores}), [per_caption(owner, 15)])["fused"][0]
    relevant = (owner[:, None] == np.arange(15)).astype(int)
    found = Retrieval.of(both)
    precision, ndcg = metrics.label_ranking_average_precision_score, metrics.ndcg_score
    assert found.text_to_video.mean_average_precision == pytest.approx(100 * precision(relevant, scores))
    assert found.text_to_video.ndcg10 == pytest.approx(100 * ndcg(relevant, scores, k=10))
    has = relevant.any(0)
    assert found.video_to_text.mean_average_precision == pytest.approx(100 * precision(relevant.T[has], scores.T[has]))
    assert found.video_to_text.ndcg10 == pytest.approx(100 * ndcg(relevant.T[has], scores.T[has], k=10))


# -- Edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -np.inf, np.nan])
def test_a_constant_score_finds_nothing(value: float) -> None:
    result = retrieval(np.full((40, 20), value), np.arange(40) // 2)
    assert result.sum_r == 0
    assert result.text_to_video.mean_rank == 20 and result.video_to_text.mean_rank == 39


def test_one_score_that_is_not_a_number_counts_against_us() -> None:
    assert retrieval(np.array([[0.9, np.nan], [0.1, 0.2]]), np.arange(2)).text_to_video.mean_rank == 1.5
    assert retrieval(np.array([[np.nan, -5], [0.1, 0.2]]), np.arange(2)).text_to_video.mean_rank == 1.5


def test_a_better_score_of_the_right_one_never_hurts() -> None:
    rng = np.random.default_rng(1)
    scores, owner = rng.normal(size=(30, 10)).astype(np.float32), np.arange(30) // 3
    better = scores.copy()
    better[np.arange(30), owner] += 0.5
    worse, found = retrieval(scores, owner), retrieval(better, owner)
    assert found.sum_r > worse.sum_r
    assert found.text_to_video.mean_average_precision > worse.text_to_video.mean_average_precision


def test_an_absent_level_is_a_miss_for_it_and_no_loss_for_the_mean() -> None:
    specs = [LevelSpec(name, 2) for name in LEVEL_NAMES]
    videos = {name: np.eye(2, dtype=np.float32) for name in LEVEL_NAMES}
    queries = {name: np.eye(2, dtype=np.float32)[[0, 0, 1]] for name in LEVEL_NAMES}
    queries["action"] = queries["action"] * np.array([[1], [0], [1]], np.float32)
    results = evaluate(specs, queries, videos, OWNER)
    assert results["action"].text_to_video.r1 == pytest.approx(200 / 3)
    assert results["fused"].text_to_video.r1 == 100
    source = LevelScores(specs, queries, videos, ablations=True)
    np.testing.assert_allclose(source.block(1, 2)["fused"], [[1, 0]])
    assert source.names == ("fused", *LEVEL_NAMES, *(f"without {name}" for name in LEVEL_NAMES))
    assert set(source.names) == set(source.block(0, 3))


def test_a_text_that_an_ablation_leaves_without_a_level_is_a_miss() -> None:
    specs = [LevelSpec("global", 2), LevelSpec("action", 2), LevelSpec("relation", 2, weight=0.0)]
    eye = np.eye(2, dtype=np.float32)
    queries = {"global": eye, "action": eye * np.array([[1], [0]], np.float32), "relation": eye}
    source = LevelScores(specs, queries, dict.fromkeys(queries, eye), ablations=True)
    assert "without relation" not in source.names  # it weighs nothing: leaving it out changes nothing
    np.testing.assert_array_equal(source.block(0, 2)["without global"], [[1, 0], [-np.inf, -np.inf]])


@pytest.mark.parametrize("block", [1, 1000])
def test_a_video_of_several_clips_scores_as_its_best(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(score_module, "_BLOCK_SCORES", block)
    clips = {"global": np.array([[0.1, 0.2], [0.9, 0.1], [0.3, 0.8]], np.float32)}
    queries = {"global": np.eye(2, dtype=np.float32)}
    source = LevelScores([LevelSpec("global", 2)], queries, clips, np.array([2, 1]))
    assert source.shape == (2, 2)
    np.testing.assert_allclose(source.block(0, 2)["fused"], [[0.9, 0.3], [0.2, 0.8]])


def test_chance_is_what_random_orders_have() -> None:
    """Videos with one and with three captions, against the mean over many random scores."""
    owner = np.array([0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    rng = np.random.default_rng(2)
    drawn = [
        rank_all(GivenScores({"fused": rng.random((12, 10), np.float32)}), [per_caption(owner, 10)])["fused"][0]
        for _ in range(400)
    ]
    for direction in ("text_to_video", "video_to_text"):
        many = [Measures.of(getattr(both, direction)) for both in drawn]
        ranks = getattr(drawn[0], direction)
        expected = chance(ranks.relevant, ranks.gallery)
        for name, value in expected.items():
            assert np.mean([getattr(m, name) for m in many]) == pytest.approx(value, rel=0.05, abs=0.5)
    assert chance(np.ones(3), 10)["r10"] == 100


def test_score_matrices_need_a_fused_one_of_one_shape() -> None:
    good = np.zeros((3, 2), np.float32)
    for bad in ({"global": good}, {"fused": good, "global": good[:2]}):
        with pytest.raises(InputError, match='one called "fused" and one shape'):
            GivenScores(bad)


def test_scores_of_other_texts_than_the_captions_are_refused() -> None:
    transposed = GivenScores({"fused": np.zeros((2, 3), np.float32)})
    with pytest.raises(InputError, match="of 2 texts and 3 videos, the captions of 3 texts and 3 videos"):
        evaluate_scores(transposed, OWNER)


def test_weights_of_a_request() -> None:
    specs = [LevelSpec("global", 2, "sigmoid", 2.0, -1.0, weight=0.5), LevelSpec("entity", 2)]
    assert resolve_weights(specs, {"entity": 3}) == {"global": 0.5, "entity": 3.0}
    for bad in ({"colour": 1}, {"entity": -1}, {"entity": float("nan")}, {"global": 0, "entity": 0}):
        with pytest.raises(InputError, match=r"level|weight"):
            resolve_weights(specs, bad)
    extreme = specs[0].activate(np.array([-1e4, 0.5, 1e4]))
    np.testing.assert_allclose(extreme, [0, 0.5, 1], atol=1e-12)
