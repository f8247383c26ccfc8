"""Is a level alive? Its spread, its recall alone, and the chance that it is measured against."""

import numpy as np
import pytest

from model.evaluation.metrics import evaluate, retrieval
from model.levels import LEVEL_NAMES, LevelSpec, Vectors
from model.training.loop.level_health import chance_sum_r, health_line, level_health, spreads, warnings

OWNER = np.arange(200) // 2
SPECS = tuple(LevelSpec(name, 16) for name in LEVEL_NAMES)


def vectors() -> tuple[Vectors, Vectors]:
    """Queries and videos of four healthy levels: 100 videos, 200 texts."""
    rng = np.random.default_rng(0)
    videos, queries = {}, {}
    for name in LEVEL_NAMES:
        rows = rng.standard_normal((100, 16))
        near = rows[OWNER] + 0.3 * rng.standard_normal((200, 16))
        videos[name], queries[name] = (
            (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (rows, near)
        )
    return queries, videos


def said(queries: Vectors, videos: Vectors) -> list[str]:
    results = evaluate(SPECS, queries, videos, OWNER)
    return warnings(level_health(results, spreads(SPECS, queries, videos), OWNER))


def test_healthy_levels_are_not_complained_of() -> None:
    queries, videos = vectors()
    assert said(queries, videos) == []
    health = level_health(evaluate(SPECS, queries, videos, OWNER), spreads(SPECS, queries, videos), OWNER)
    assert all(level.r1 > 80 and 0.2 < level.spread < 0.3 for level in health.values())
    assert health_line(health).startswith("R@1 (spread) global ")


def test_a_level_whose_scores_are_one_constant_is_dead() -> None:
    queries, videos = vectors()
    # A cosine of -0.8 with everything, as the hardest-negative hinge leaves it; a tenth of the texts lack the level.
    videos["relation"][:] = np.eye(16, dtype=np.float32)[0]
    queries["relation"][:] = -0.8 * np.eye(16, dtype=np.float32)[0]
    queries["relation"][::10] = 0
    (warning,) = said(queries, videos)
    assert warning.startswith("Level 'relation' is dead: its scores for a caption differ by ")


def test_a_level_that_says_nothing_about_the_clip_is_dead() -> None:
    queries, videos = vectors()
    queries["action"] = np.random.default_rng(1).permutation(queries["action"])
    (warning,) = said(queries, videos)
    assert warning.startswith("Level 'action' is dead: its SumR of ") and "of a random order" in warning


def test_a_level_that_is_not_a_number_or_absent_is_dead() -> None:
    queries, videos = vectors()
    queries["entity"][:] = 0
    videos["global"][:] = np.nan
    assert [line.split("'")[1] for line in said(queries, videos)] == ["global", "entity"]


def test_the_chance_is_the_mean_over_random_scores() -> None:
    owner = np.array([0, 0, 1])
    rng = np.random.default_rng(0)
    drawn = np.mean([retrieval(rng.random((3, 2), np.float32), owner).sum_r for _ in range(4000)])
    assert chance_sum_r(owner) == pytest.approx(drawn, rel=0.01)
    assert chance_sum_r(np.arange(1000)) == pytest.approx(2 * (0.1 + 0.5 + 1.0))
