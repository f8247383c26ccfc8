"""The second look against a reading of its definition, clip by clip and phrase by phrase, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.search.result import Hit
from indexer.search.second_look import best_windows, look_again
from indexer.search.top_k import search
from indexer.search.vectors.gallery import Change, Gallery, open_gallery, write_gallery
from indexer.search.vectors.row_source import from_arrays
from model.levels import FRAMES, FrameSpec, LevelSpec, Vectors

SPECS = (
    LevelSpec("global", 8, "sigmoid", 3.0, -0.5, 2.0),
    LevelSpec("entity", 8, scale=2.5, bias=0.1, weight=0.5),
    LevelSpec("action", 8, weight=0.7),
    LevelSpec("relation", 8, weight=0.2),
)
KEPT = FrameSpec(count=7, dim=8, best=2, window={"entity": 1, "action": 3})
CLIPS = 60


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def made(seed: int) -> tuple[Vectors, np.ndarray]:
    """Vectors of clips, some of which lack a level or have few frames, and their frames (n, count, dim)."""
    rng = np.random.default_rng(seed)
    vectors = {spec.name: unit(rng.standard_normal((CLIPS, spec.dim))) for spec in SPECS}
    vectors["action"][::5] = 0
    frames = unit(rng.standard_normal((CLIPS, KEPT.count, KEPT.dim))).astype(np.float16)
    for clip in range(CLIPS):
        frames[clip, rng.integers(1, KEPT.count + 1) :] = 0
    frames[3, 0, :] = np.eye(8, dtype=np.float16)[7]  # its first numbers are zeros, but it is a frame
    return vectors, frames


@pytest.fixture(params=[1, 3])
def gallery(tmp_path: Path, request: pytest.FixtureRequest) -> Gallery:
    """Of one segment or three."""
    vectors, frames = made(4)
    ids = np.arange(CLIPS, dtype=np.int64) * 3 + 5
    found: Gallery | None = None
    for number, rows in enumerate(np.array_split(np.arange(CLIPS), request.param)):
        added = {name: own[rows] for name, own in vectors.items()} | {FRAMES: frames[rows].reshape(len(rows), -1)}
        parts = [*(found.segments if found is not None else ()), from_arrays(ids[rows], added)]
        bounds = write_gallery(tmp_path / str(number), SPECS, Change(parts), frames=KEPT)
        found = open_gallery(tmp_path / str(number), SPECS, bounds, frames=KEPT)
    assert found is not None and len(found.segments) == request.param
    return found


def asked(seed: int) -> tuple[Vectors, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    query = {spec.name: unit(rng.standard_normal((1, spec.dim))) for spec in SPECS}
    phrases = {level: unit(rng.standard_normal((count, 8))) for level, count in (("entity", 3), ("action", 2))}
    return query, {**phrases, "relation": unit(rng.standard_normal((1, 8)))}


def by_definition(hit: Hit, frames: np.ndarray, phrases: dict[str, np.ndarray]) -> tuple[float, dict[str, float]]:
    """The score of a clip and its inner products, from the text of the module."""
    shown = [frame.astype(np.float64) for frame in frames if frame.any()]
    raw = {name: level.raw for name, level in hit.levels.items()}
    for level, size in KEPT.window.items():
        if not hit.levels[level].weight:
            continue
        width = min(size, len(shown))
        values = []
        for phrase in phrases[level].astype(np.float64):
            cosines = [float(frame @ phrase) for frame in shown]
            means = [sum(cosines[t : t + width]) / width for t in range(len(shown) - width + 1)]
            largest = sorted(means, reverse=True)[: KEPT.best]
            values.append(sum(largest) / len(largest))
        raw[level] = sum(values) / len(values)
    weights = {name: level.weight for name, level in hit.levels.items()}
    scores = {spec.name: float(spec.activate(np.array(raw[spec.name]))) for spec in SPECS}
    return sum(weights[name] * scores[name] for name in weights) / sum(weights.values()), raw


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_its_definition(gallery: Gallery, seed: int) -> None:
    query, phrases = asked(seed)
    _, frames = made(4)
    before = search(gallery, SPECS, query, 40, {"relation": 0.0}).hits
    after = look_again(gallery, SPECS, phrases, before)
    expected = {hit.id: by_definition(hit, frames[(hit.id - 5) // 3], phrases) for hit in before}
    assert [hit.id for hit in after] == sorted(expected, key=lambda item: (-expected[item][0], item))
    assert [hit.id for hit in after] != [hit.id for hit in before]
    assert look_again(gallery, SPECS, phrases, before, 7) == after[:7]
    for hit in after:
        score, raw = expected[hit.id]
        assert hit.score == pytest.approx(score, abs=1e-6)
        assert {name: level.raw for name, level in hit.levels.items()} == pytest.approx(raw, abs=1e-6)
        assert sum(level.contribution for level in hit.levels.values()) == pytest.approx(hit.score, abs=1e-12)


def test_a_query_without_phrases_keeps_its_order(gallery: Gallery) -> None:
    query, phrases = asked(1)
    before = search(gallery, SPECS, query, 10, {}).hits
    for nothing in ({}, {"relation": phrases["relation"]}):  # which has no window
        after = look_again(gallery, SPECS, nothing, before)
        assert [hit.id for hit in after] == [hit.id for hit in before]
        assert [hit.score for hit in after] == pytest.approx([hit.score for hit in before], abs=1e-12)
    assert look_again(gallery, SPECS, phrases, []) == []


def test_halves_of_every_size_keep_their_value(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those below the normal range of float16, and both signs."""
    from indexer.search.second_look import _single

    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    np.testing.assert_array_equal(_single(finite), finite.astype(np.float32))


def test_windows_of_clips_of_every_length() -> None:
    cosines = np.array([[[0.1, 0.9, 0.2, 0.6]]], np.float32)
    for length, expected in ((1, 0.1), (2, 0.5), (3, (0.5 + 0.55) / 2), (4, (0.55 + 0.5) / 2)):
        found = best_windows(cosines, np.array([length]), 2, 2)
        assert found == pytest.approx(np.array([[expected]]), abs=1e-6), length
