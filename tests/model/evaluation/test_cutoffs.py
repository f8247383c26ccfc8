"""Figures of the first k results and graded relevance, against loops that share no code with them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from model.evaluation import scores as score_module
from model.evaluation.assessment import Subject, assess, label_frequencies
from model.evaluation.cutoffs import Cutoff, mteb_scores
from model.evaluation.graded import Grades, graded_ndcg
from model.evaluation.ranks import BothRanks, rank_all
from model.evaluation.relevance import per_caption
from model.evaluation.reports.mteb import write_mteb
from model.evaluation.scores import GivenScores
from model.language.parsed_caption import Attributes

CAPTIONS = ["a red dog runs", "the dog", "a blue car", "a red car", "the cat sleeps", "!?", "a dog sleeps"]
OWNER = np.array([0, 0, 1, 1, 2, 2, 4])
VIDEOS = 5


def made() -> np.ndarray:
    """Scores from few values, so that they tie."""
    return np.random.default_rng(1).integers(0, 3, (len(CAPTIONS), VIDEOS)).astype(np.float32)


def ranks() -> BothRanks:
    return rank_all(GivenScores({"fused": made()}), [per_caption(OWNER, VIDEOS)])["fused"][0]


def columns() -> list[list[bool]]:
    """Whether each text, in the order of the ranking of each video that has texts, is right."""
    scores, rankings = made(), []
    for v in sorted(set(OWNER.tolist())):
        order = sorted(range(len(CAPTIONS)), key=lambda t: (-scores[t, v], OWNER[t] == v))
        rankings.append([bool(OWNER[t] == v) for t in order])
    return rankings


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_and_f_score_agree_with_a_loop(k: int) -> None:
    precision, recall, f_score = [], [], []
    for right in columns():
        p, r = sum(right[:k]) / k, sum(right[:k]) / sum(right)
        precision.append(p), recall.append(r), f_score.append(2 * p * r / (p + r) if p + r else 0)
    found = Cutoff.of(ranks().video_to_text, k)
    expected = [100 * np.mean(values) for values in (precision, recall, f_score)]
    assert [found.precision, found.recall, found.f_score] == pytest.approx(expected)


def test_scores_are_those_of_trec_eval() -> None:
    found = mteb_scores(ranks().video_to_text, (3,))
    own: dict[str, list[float]] = {}
    for right in columns():
        total, top = sum(right), right[:3]
        ideal = sum(1 / math.log2(2 + i) for i in range(min(total, 3)))
        first = next((i for i, one in enumerate(top) if one), None)
        for name, value in {
            "ndcg_at_3": sum(one / math.log2(2 + i) for i, one in enumerate(top)) / ideal,
            "map_at_3": sum(sum(top[: i + 1]) / (i + 1) for i, one in enumerate(top) if one) / total,
            "recall_at_3": sum(top) / total,
            "precision_at_3": sum(top) / 3,
            "mrr_at_3": 0.0 if first is None else 1 / (first + 1),
            "hit_rate_at_3": float(any(top)),
        }.items():
            own.setdefault(name, []).append(value)
    assert found == pytest.approx({name: np.mean(values) for name, values in own.items()})


def loop_grade(text: int, video: int) -> float:
    words = [set("".join(c if c.isalnum() else " " for c in caption).split()) for caption in CAPTIONS]
    shown = [set().union(*(w for w, o in zip(words, OWNER, strict=True) if o == v)) for v in range(VIDEOS)]
    idf = {w: math.log(VIDEOS / sum(w in own for own in shown)) for w in set().union(*words)}
    total = sum(idf[w] for w in words[text])
    if OWNER[text] == video:
        return 1.0
    return sum(idf[w] for w in words[text] & shown[video]) / total if total else 0.0


def loop_ndcg(scores: list[float], grades: list[float], k: int) -> float:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], grades[i]))[:k]
    ideal = sum(g / math.log2(2 + i) for i, g in enumerate(sorted(grades, reverse=True)[:k]))
    return sum(grades[item] / math.log2(2 + i) for i, item in enumerate(order)) / ideal


@pytest.mark.parametrize("block", [1, 11, 10_000])
@pytest.mark.parametrize("k", [2, 10])
def test_graded_ndcg_agrees_with_a_loop(block: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_module, "_BLOCK_SCORES", block)
    scores = made()
    grades = np.array([[loop_grade(t, v) for v in range(VIDEOS)] for t in range(len(CAPTIONS))])
    known = Grades.of(CAPTIONS, OWNER, VIDEOS)
    np.testing.assert_allclose(known.block(0, len(CAPTIONS)), grades, atol=1e-12)
    assert 0 < grades[0, 1] < 1 and grades[5].tolist() == [0, 0, 1, 0, 0]
    t2v = np.mean([loop_ndcg(scores[t].tolist(), grades[t].tolist(), k) for t in range(len(CAPTIONS))])
    v2t = np.mean([loop_ndcg(scores[:, v].tolist(), grades[:, v].tolist(), k) for v in (0, 1, 2, 4)])
    assert graded_ndcg(GivenScores({"fused": scores}), known, k) == pytest.approx((100 * t2v, 100 * v2t))


def test_mteb_file_has_the_fields_of_a_task_result(tmp_path: Path) -> None:
    subject = Subject([f"v{i}" for i in range(VIDEOS)], CAPTIONS, OWNER)
    assessment = assess(GivenScores({"fused": made()}), subject, 0)
    write_mteb(tmp_path / "out" / "mteb.json", assessment, "captions", "test")
    written = json.loads((tmp_path / "out" / "mteb.json").read_text())
    assert {"dataset_revision", "task_name", "mteb_version", "scores", "evaluation_time"} <= set(written)
    rows = {row["hf_subset"]: row for row in written["scores"]["test"]}
    assert set(rows) == {f"{p}-{d}" for p in ("per_caption", "per_distinct_caption") for d in ("t2v", "v2t")}
    for row in rows.values():
        assert row["main_score"] == row["ndcg_at_10"] and row["languages"] == ["eng-Latn"]
    assert rows["per_caption-v2t"]["hit_rate_at_1"] == Cutoff.of(ranks().video_to_text, 1).precision / 100


def test_labels_count_the_captions_that_have_them() -> None:
    told = [Attributes(["dog", "dog"], ["run"], []), Attributes(["dog", "cat"], [], ["cat on dog"])]
    counts = label_frequencies(told)
    assert counts["entity"] == {"dog": 2, "cat": 1} and counts["action"] == {"run": 1}
    assert counts["relation"] == {"cat on dog": 1}
