"""Texts in questions of several moments and in films: the same chains as scoring and trying all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.search.filters import ClipTable
from indexer.search.moment_texts import MomentTexts
from indexer.search.moments.best_moments import best_moments
from indexer.search.moments.timeline import Timeline
from indexer.search.question import make_question
from indexer.search.text_evidence import TextEvidence
from indexer.search.text_links import TextLinks
from model.levels import WORDS, LevelSpec, Vectors
from tests.indexer.engines import Engine, make_gallery
from tests.indexer.search.moments.brute_force import best_by_trying

DIM, CLIPS, TEXTS = 8, 40, 60
LEVELS = (LevelSpec("global", DIM, "sigmoid", 4.0, -1.0), LevelSpec("entity", DIM, weight=0.7))
SPEC = LevelSpec(WORDS, DIM, "sigmoid", 8.0, -3.0, 3.0)
WITHIN = [0.0, 6.0, 9.5]


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [3.0, 0.2])
@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("moments", [1, 2, 3])
def test_texts_count_at_every_moment(
    engine: Engine, tmp_path: Path, moments: int, pictures: bool, weight: float
) -> None:
    rng = np.random.default_rng(moments)
    ids = np.arange(1, CLIPS + 1) * 3
    starts = np.round(rng.uniform(0, 30, CLIPS), 1)
    table = ClipTable(ids, rng.integers(1, 6, CLIPS).astype(np.int64), starts, starts + 2.5)
    vectors: Vectors = {level.name: unit(rng, CLIPS) for level in LEVELS}
    told, texts = unit(rng, TEXTS), np.arange(1, TEXTS + 1) * 5
    pairs = sorted({(int(rng.choice(texts)), int(rng.choice(ids[::2]))) for _ in range(60)})
    links = TextLinks(*(np.array(column, np.int64) for column in zip(*pairs, strict=True)))
    clips = make_gallery(tmp_path / "clips", LEVELS, ids.tolist(), vectors)
    gallery = engine.make(tmp_path / "texts", LEVELS, texts.tolist(), {level.name: told for level in LEVELS})
    evidence = TextEvidence(gallery, LEVELS, links, SPEC)
    queries: Vectors = {level.name: unit(rng, moments) for level in LEVELS}
    words = unit(rng, moments)
    if moments > 1 and pictures:
        words[1] = 0  # a moment of pictures alone
    others = sum(level.weight for level in LEVELS) if pictures else 0.0
    allowed = ids[rng.random(CLIPS) < 0.9]

    scores = np.full((moments, CLIPS), -np.inf)
    for moment in range(moments):
        for i in np.flatnonzero(np.isin(ids, allowed)):
            shown = [
                level.weight * float(level.activate(np.array(vectors[level.name][i] @ queries[level.name][moment])))
                for level in LEVELS
            ]
            score = sum(shown) / sum(level.weight for level in LEVELS)
            own = np.searchsorted(texts, links.texts[links.clips == ids[i]])
            raw = (
                max((float(told[text] @ words[moment]) for text in own), default=-np.inf)
                if words[moment].any()
                else None
            )
            if raw is not None:
                said = float(SPEC.activate(np.array(raw))) if raw > -np.inf else -np.inf
                score = max(score, (others * score + weight * said) / (others + weight)) if others else said
            scores[moment, i] = score
    expected = best_by_trying(table, scores, WITHIN[:moments])

    question = make_question(LEVELS, queries, {})
    raised = MomentTexts(evidence, words, weight, np.full(moments, others))
    timeline, within = Timeline.of(table), WITHIN[:moments]
    chains = best_moments(clips, timeline, question, within, 7, allowed, texts=raised)
    films = best_moments(clips, timeline, question, within, 50, allowed, films=True, texts=raised)
    assert chains.exact
    assert [chain.hits[-1].id for chain in chains.chains] == sorted(expected, key=lambda last: -expected[last])[:7]
    place = {int(item): i for i, item in enumerate(ids)}
    for chain in [*chains.chains, *films.chains]:
        assert chain.score == pytest.approx(expected[chain.hits[-1].id] / moments, abs=1e-6)
        for moment, hit in enumerate(chain.hits):
            assert hit.score == pytest.approx(scores[moment, place[hit.id]], abs=1e-6)
            assert hit.score == pytest.approx(sum(level.contribution for level in hit.levels.values()), abs=1e-6)
            assert (hit.levels[WORDS].weight > 0) <= bool(words[moment].any())
    best: dict[int, float] = {}
    for last, total in expected.items():
        video = int(table.video_ids[place[last]])
        best[video] = max(best.get(video, -np.inf), total / moments)
    found = [int(table.video_ids[place[film.hits[-1].id]]) for film in films.chains]
    assert found == sorted(best, key=lambda video: -best[video])
    if moments == 1:
        for film, video in zip(films.chains, found, strict=True):
            mine = sorted((s for s, v in zip(scores[0], table.video_ids, strict=True) if v == video and s > -np.inf))
            shown_ = [film.hits[0].score, *(hit.score for hit in film.others)]
            assert shown_ == pytest.approx(mine[::-1], abs=1e-6)
