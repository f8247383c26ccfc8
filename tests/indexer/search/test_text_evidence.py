"""The level `words`: the same hits as scoring every clip, whatever the weights, filters and texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.search.text_evidence import ListedClips, Pictures, ScoredClips, TextEvidence
from indexer.search.text_links import TextLinks
from indexer.search.top_k import search
from indexer.search.vectors.gallery import Gallery
from model.levels import WORDS, LevelSpec, Vectors
from tests.indexer.engines import make_gallery

LEVELS = (LevelSpec("global", 8, "sigmoid", 4.0, -1.0), LevelSpec("entity", 8), LevelSpec("action", 8))
SPEC = LevelSpec(WORDS, 8, "sigmoid", 8.0, -3.0, 3.0)
CLIPS, TEXTS = 300, 200


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Case:
    """A library at random: some texts belong to nothing, some clips have none, some are equal."""

    def __init__(self, seed: int, folder: Path) -> None:
        rng = np.random.default_rng(seed)
        self.clips = np.arange(1, CLIPS + 1) * 3
        self.vectors: Vectors = {level.name: unit(rng, CLIPS) for level in LEVELS}
        self.vectors["action"][rng.random(CLIPS) < 0.2] = 0
        self.told = unit(rng, TEXTS)
        self.told[50:60] = self.told[50]
        texts = {level.name: unit(rng, TEXTS) for level in LEVELS} | {"global": self.told}
        self.texts = np.arange(1, TEXTS + 1) * 5
        self.gallery: Gallery = make_gallery(folder / "clips", LEVELS, self.clips, self.vectors)
        pairs = {(int(rng.choice(self.texts[20:])), int(rng.choice(self.clips[::2]))) for _ in range(400)}
        self.links = TextLinks(*(np.array(column, np.int64) for column in zip(*sorted(pairs), strict=True)))
        self.evidence = TextEvidence(
            make_gallery(folder / "texts", LEVELS, self.texts, texts), LEVELS, self.links, SPEC
        )
        self.query = {level.name: unit(rng, 1) for level in LEVELS}
        self.words = unit(rng, 1)

    def pictures(self, weights: dict[str, float], allowed: np.ndarray | None) -> Pictures:
        def best(k: int):
            return search(self.gallery, LEVELS, self.query, k, weights, allowed)

        def among(ids: np.ndarray):
            if not any(weights.values()):
                return ListedClips(search(self.gallery, LEVELS, self.query, len(ids), {}, ids).hits)
            return ListedClips(search(self.gallery, LEVELS, self.query, len(ids), weights, ids).hits)

        return Pictures(best, among, sum(weights.values()))

    def all_scores(self, weights: dict[str, float], weight: float) -> dict[int, float]:
        """By the formula, clip by clip."""
        scores = {}
        others = sum(weights.values())
        for i, clip in enumerate(self.clips.tolist()):
            pictures, norm = 0.0, 0.0
            for level in LEVELS:
                row = self.vectors[level.name][i].astype(np.float64)
                if row.any():
                    pictures += weights[level.name] * level.activate(row @ self.query[level.name][0].astype(np.float64))
                    norm += weights[level.name]
            score = pictures / norm if norm else -np.inf
            own = np.searchsorted(self.texts, self.links.texts[self.links.clips == clip])
            if len(own):
                told = float(
                    SPEC.activate((self.told[own].astype(np.float64) @ self.words[0].astype(np.float64)).max())
                )
                score = max(score, (others * score + weight * told) / (others + weight)) if others else told
            scores[clip] = score
        return scores


@pytest.mark.parametrize("seed", range(6))
def test_hits_are_those_of_scoring_every_clip(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1000 + seed)
    case = Case(seed, tmp_path)
    for weight in (0.1, 1.0, 6.0, 1000.0):
        for k in (1, 7, 40):
            weights = {level.name: float(w) for level, w in zip(LEVELS, rng.choice([0.5, 1.0, 2.0], 3), strict=True)}
            allowed = None if rng.random() < 0.5 else np.sort(rng.choice(case.clips, 120, replace=False))
            near = case.evidence.nearest(case.words)[0] if allowed is None else None
            pictures = case.pictures(weights, allowed)
            found = case.evidence.raise_hits(case.words, weight, k, pictures, allowed=allowed, near=near)
            scores = case.all_scores(weights, weight)
            wanted = case.clips.tolist() if allowed is None else allowed.tolist()
            right = sorted(wanted, key=lambda clip: (-round(scores[clip], 12), clip))[:k]
            assert [hit.id for hit in found.hits] == right
            assert found.exact
            for hit in found.hits:
                assert hit.score == pytest.approx(scores[hit.id], abs=1e-9)
                assert sum(level.contribution for level in hit.levels.values()) == pytest.approx(hit.score, abs=1e-9)


def test_clips_that_their_texts_cannot_raise_far_enough_are_not_scored(tmp_path: Path) -> None:
    case = Case(1, tmp_path)
    pictures = case.pictures({level.name: 1.0 for level in LEVELS}, None)
    scored: list[int] = []

    def among(clips: np.ndarray) -> ScoredClips:
        scored.extend(clips.tolist())
        return pictures.among(clips)

    case.evidence.raise_hits(case.words, 1.0, 7, replace(pictures, among=among))
    near = {hit.id for hit in case.evidence.nearest(case.words)[0].hits}
    told = {
        clip for text, clip in zip(case.links.texts.tolist(), case.links.clips.tolist(), strict=True) if text in near
    }
    assert len(scored) < 0.6 * len(told)


def test_texts_alone(tmp_path: Path) -> None:
    """Where the pictures weigh nothing, only clips with texts are hits."""
    case = Case(5, tmp_path)
    nothing = {level.name: 0.0 for level in LEVELS}
    found = case.evidence.raise_hits(case.words, 1.0, CLIPS, case.pictures(nothing, None))
    told = set(case.links.clips.tolist())
    assert {hit.id for hit in found.hits} == told
    scores = case.all_scores(nothing, 1.0)
    assert [hit.score for hit in found.hits] == pytest.approx(sorted((scores[clip] for clip in told), reverse=True))


def test_a_text_tells_something_where_it_is_nearer_than_to_questions_without_meaning(tmp_path: Path) -> None:
    case = Case(0, tmp_path)
    noise = unit(np.random.default_rng(1), 4)
    evidence = TextEvidence(case.evidence._captions, LEVELS, case.links, SPEC, noise)
    linked = case.told[np.searchsorted(case.texts, np.unique(case.links.texts))].astype(np.float64)
    floor = max(float(SPEC.activate((linked @ row.astype(np.float64)).max())) for row in noise)
    assert not evidence.is_evidence(floor - 1e-6) and evidence.is_evidence(floor + 1e-6)
    assert case.evidence.is_evidence(1e-6), "without such questions every text tells something"
