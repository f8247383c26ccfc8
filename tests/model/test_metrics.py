"""Retrieval metrics by hand-made matrices: ties count against us, absent levels are misses."""

import numpy as np
import pytest

from model.errors import InputError
from model.evaluation.metrics import evaluate, retrieval, score_matrices
from model.evaluation.report import markdown_table
from model.levels import LEVEL_NAMES, LevelSpec, resolve_weights

OWNER = np.array([0, 0, 1])


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.4, 0.8]], np.float32)
    result = retrieval(scores, OWNER)
    assert result.text_to_video.r1 == pytest.approx(200 / 3)
    assert result.text_to_video.mean_rank == pytest.approx(4 / 3)
    assert result.video_to_text.r1 == 100  # 0.9 leads column 0, 0.8 leads column 1
    assert result.sum_r == pytest.approx(200 / 3 + 500)


def test_a_constant_score_finds_nothing() -> None:
    result = retrieval(np.zeros((40, 20), np.float32), np.arange(40) // 2)
    assert result.text_to_video.r1 == result.text_to_video.r10 == 0
    assert result.video_to_text.r1 == result.video_to_text.r10 == 0


def test_an_absent_level_is_a_miss_for_it_and_no_loss_for_the_mean() -> None:
    specs = [LevelSpec(name, 2) for name in LEVEL_NAMES]
    videos = {name: np.eye(2, dtype=np.float32) for name in LEVEL_NAMES}
    queries = {name: np.eye(2, dtype=np.float32)[[0, 0, 1]] for name in LEVEL_NAMES}
    queries["action"] = queries["action"] * np.array([[1], [0], [1]], np.float32)
    results = evaluate(specs, queries, videos, OWNER)
    assert results["action"].text_to_video.r1 == pytest.approx(200 / 3)
    assert results["fused"].text_to_video.r1 == 100
    np.testing.assert_allclose(score_matrices(specs, queries, videos)["fused"][1], [1, 0])
    assert "| chance | 50.0 |" in markdown_table(results)


def test_weights_of_a_request() -> None:
    specs = [LevelSpec("global", 2, "sigmoid", 2.0, -1.0, weight=0.5), LevelSpec("entity", 2)]
    assert resolve_weights(specs, {"entity": 3}) == {"global": 0.5, "entity": 3.0}
    for bad in ({"colour": 1}, {"entity": -1}, {"entity": float("nan")}, {"global": 0, "entity": 0}):
        with pytest.raises(InputError, match=r"level|weight"):
            resolve_weights(specs, bad)
    extreme = specs[0].activate(np.array([-1e4, 0.5, 1e4]))
    np.testing.assert_allclose(extreme, [0, 0.5, 1], atol=1e-12)
