"""How likely hits are matches, on made data where it is known which clip a question is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.search.likelihood import Likelihood, fit, fused, regression, teaches
from indexer.search.vectors.gallery import Gallery
from model.levels import LEVEL_NAMES, LevelSpec, Vectors, resolve_weights
from tests.indexer.engines import make_gallery

DIM, CLIPS = 32, 300
SPECS = tuple(LevelSpec(name, DIM, weight=1.5) for name in LEVEL_NAMES)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gallery, Vectors, Vectors]:
    """A gallery, a question about each of its clips, and as many questions about others."""
    rng = np.random.default_rng(0)
    vectors, questions, foreign = ({name: np.zeros(0) for name in LEVEL_NAMES} for _ in range(3))
    for name in LEVEL_NAMES:
        clips, strangers = rng.standard_normal((2, CLIPS, DIM)) + 0.5
        vectors[name] = unit(clips)
        questions[name] = unit(clips + rng.standard_normal((CLIPS, DIM)))
        foreign[name] = unit(strangers + rng.standard_normal((CLIPS, DIM)))
    gallery = make_gallery(tmp_path_factory.mktemp("likelihood"), SPECS, range(1, CLIPS + 1), vectors)
    return gallery, questions, foreign


def some(vectors: Vectors, rows: slice) -> Vectors:
    return {name: own[rows] for name, own in vectors.items()}


def best(gallery: Gallery, likelihood: Likelihood, questions: Vectors) -> np.ndarray:
    """How likely the best hit of each question is a match."""
    weights = resolve_weights(SPECS, {})
    vectors = gallery.vectors(gallery.ids)
    scores = fused(SPECS, weights, questions, vectors)
    return np.array(
        [
            likelihood.of(some(questions, slice(i, i + 1)), weights, some(vectors, slice(hit, hit + 1)))[0]
            for i, hit in enumerate(scores.argmax(axis=1).tolist())
        ]
    )


def test_captions_teach_what_fits(world: tuple[Gallery, Vectors, Vectors]) -> None:
    gallery, questions, foreign = world
    learn = slice(0, 100)
    likelihood = fit(gallery, SPECS, some(questions, learn), gallery.ids[learn])
    assert likelihood.basis == "captions"
    there = best(gallery, likelihood, some(questions, slice(100, 300)))
    gone = best(gallery, likelihood, foreign)
    assert ((there >= 0) & (there <= 1)).all()
    assert (there < likelihood.weak).mean() <= 0.1
    assert (gone < likelihood.weak).mean() >= 0.95


def test_without_captions_chance_teaches(world: tuple[Gallery, Vectors, Vectors]) -> None:
    gallery, questions, foreign = world
    likelihood = fit(gallery, SPECS, some(foreign, slice(0, 100)), None)
    assert likelihood.basis == "sentences"
    assert (best(gallery, likelihood, some(foreign, slice(100, 300))) < likelihood.weak).mean() >= 0.9
    assert (best(gallery, likelihood, some(questions, slice(100, 300))) < likelihood.weak).mean() <= 0.1


@pytest.mark.parametrize("clips", [1, 2])
def test_a_gallery_of_next_to_nothing(tmp_path: Path, clips: int) -> None:
    rng = np.random.default_rng(1)
    vectors = {name: unit(rng.standard_normal((clips, DIM))) for name in LEVEL_NAMES}
    vectors["action"][:] = 0
    gallery = make_gallery(tmp_path, SPECS, range(1, clips + 1), vectors)
    for targets in (None, np.ones(4, np.int64)):
        likelihood = fit(gallery, SPECS, {name: rows[[0, 0, 0, 0]] for name, rows in vectors.items()}, targets)
        likely = likelihood.of(some(vectors, slice(0, 1)), resolve_weights(SPECS, {}), vectors)
        assert np.isfinite(likely).all() and likely.shape == (clips,)


def test_a_regression_of_what_cannot_be_told_apart_ends() -> None:
    slopes, base = regression(np.zeros((6, 3)), np.arange(6) < 3)
    assert slopes.tolist() == [0, 0, 0]
    assert base == pytest.approx(0)


def test_a_perfect_divide_stays_finite() -> None:
    measures = np.array([[0.0, 0, 0], [0, 0, 0], [1, 9, 9], [1, 9, 9]])
    slopes, base = regression(measures, np.array([False, False, True, True]))
    assert np.isfinite(slopes).all() and np.isfinite(base)
    assert measures[3] @ slopes + base > 0 > measures[0] @ slopes + base


def test_few_captions_teach_nothing() -> None:
    assert not teaches(5)
    assert teaches(100)
