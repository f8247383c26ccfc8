"""What a report says besides the metrics: contributions, examples, and the three files it is written to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from model.evaluation.assessment import PER_CAPTION, PER_DISTINCT_CAPTION, Assessment, Subject, assess
from model.evaluation.examples import choose
from model.evaluation.ranks import Ranks
from model.evaluation.reports import svg_charts as svg
from model.evaluation.reports.report import markdown, write_report
from model.evaluation.scores import GivenScores, LevelScores
from model.levels import LEVEL_NAMES, LevelSpec

VIDEOS, PER_VIDEO = 12, 4


@dataclass(frozen=True)
class Made:
    source: LevelScores
    subject: Subject
    assessment: Assessment


@pytest.fixture(scope="module")
def made() -> Made:
    """Four levels of vectors near those of their video; some texts lack a level; one caption repeats."""
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(VIDEOS), PER_VIDEO)
    weights = dict(zip(LEVEL_NAMES, (1.0, 0.5, 2.0, 1.0), strict=True))
    specs = [LevelSpec(n, 6, "sigmoid" if n == "global" else "identity", weight=w) for n, w in weights.items()]
    clips = {name: rng.normal(size=(VIDEOS, 6)).astype(np.float32) for name in LEVEL_NAMES}
    texts = {name: clips[name][owner] + rng.normal(size=(len(owner), 6)).astype(np.float32) for name in LEVEL_NAMES}
    texts["action"][::5] = 0
    source = LevelScores(specs, texts, clips, ablations=True)
    captions = [f'<b>"caption" {i} & more</b>' for i in range(len(owner))]
    captions[9] = captions[1]
    subject = Subject([f"video{v}.mp4" for v in range(VIDEOS)], captions, owner)
    return Made(source, subject, assess(source, subject, 8))


def test_contributions_agree_with_a_loop(made: Made) -> None:
    source, subject = made.source, made.subject
    sides: dict[str, list[tuple[float, float]]] = {name: [] for name in LEVEL_NAMES}
    for t, caption in enumerate(subject.captions):
        if caption in subject.captions[:t]:
            continue
        right = {int(v) for v, c in zip(subject.owner, subject.captions, strict=True) if c == caption}
        parts = []
        for v in range(VIDEOS):
            raw = {s.name: float(source.text_queries[s.name][t] @ source.clips[s.name][v]) for s in source.specs}
            raw["global"] = 1 / (1 + np.exp(-raw["global"]))
            used = {s.name: s.weight for s in source.specs if source.text_queries[s.name][t].any()}
            total = sum(used.values())
            parts.append({name: used.get(name, 0) / total * raw[name] for name in LEVEL_NAMES})
        order = sorted(range(VIDEOS), key=lambda v: -sum(parts[v].values()))
        best = next(v for v in order if v in right), next(v for v in order if v not in right)
        for name in LEVEL_NAMES:
            sides[name].append((parts[best[0]][name], parts[best[1]][name]))
    for name, pairs in sides.items():
        found = made.assessment.contributions[name]
        assert (found.right, found.wrong) == pytest.approx(tuple(np.mean(pairs, axis=0)), rel=1e-4)
        assert found.gap == found.right - found.wrong


def test_contributions_of_videos_with_several_clips_are_of_the_clip_that_decides() -> None:
    specs = [LevelSpec("global", 1), LevelSpec("entity", 1)]
    clips = {"global": np.array([[0.2], [0.9], [0.5]]), "entity": np.array([[0.3], [0.1], [0.5]])}
    clips = {name: vectors.astype(np.float32) for name, vectors in clips.items()}
    ones = np.ones((1, 1), np.float32)
    source = LevelScores(specs, {"global": ones, "entity": ones}, clips, np.array([2, 1]))
    found = assess(source, Subject(["a", "b"], ["x"], np.array([0]))).contributions
    assert (found["global"].right, found["entity"].right) == pytest.approx((0.45, 0.05))
    assert (found["global"].wrong, found["entity"].wrong) == pytest.approx((0.25, 0.25))


def test_examples_are_half_good_half_bad_and_spread_over_the_ranks() -> None:
    best = np.array([1, 7, 1, 2, 1, 30, 1, 4, 1, 1])
    ranks = Ranks(np.arange(10), best, 40)
    assert choose(ranks, 6).tolist() == [0, 4, 9, 3, 1, 5]  # rank 1 from the first row to the last; ranks 2, 7, 30
    assert choose(ranks, 0).tolist() == []
    assert sorted(choose(ranks, 99).tolist()) == list(range(10))
    all_good = Ranks(np.arange(10), np.ones(10, np.int64), 40)
    assert choose(all_good, 4).tolist() == [0, 3, 6, 9]


def test_an_example_shows_the_first_three_and_the_right_one(made: Made) -> None:
    fused = made.source.block(0, len(made.subject.captions))["fused"]
    assert len(made.assessment.examples) == 8
    for example in made.assessment.examples:
        scores = fused[example.row]
        first = sorted(range(VIDEOS), key=lambda v: -scores[v])[:3]
        assert [hit.video for hit in example.hits[:3]] == first
        assert [hit.rank for hit in example.hits[:3]] == [1, 2, 3]
        right = [hit for hit in example.hits if hit.right]
        assert right[0].rank == example.rank
        assert len(example.hits) == (3 if example.rank <= 3 else 4)
    assert {example.rank > 1 for example in made.assessment.examples} == {True, False}


class Page(HTMLParser):
    """Collects what the tests ask about; `check` fails on tags that do not close."""

    VOID = frozenset({"meta", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str, **attributes: str) -> int:
        return sum(t == tag and attributes.items() <= a.items() for t, a in self.tags)


def test_the_report_is_three_files_that_say_the_same(made: Made, tmp_path: Path) -> None:
    files = write_report(tmp_path / "new" / "report", made.assessment, {"model": "<m>"}, lambda v: b"webp%d" % v)
    figures = json.loads(files[0].read_text())
    table, html = files[1].read_text(), files[2].read_text()
    result = made.assessment.results(PER_CAPTION)["fused"]
    assert figures["protocols"][PER_CAPTION]["results"]["fused"]["sum_r"] == result.sum_r
    assert figures["protocols"][PER_DISTINCT_CAPTION]["results"]["fused"]["text_to_video"]["queries"] == 47
    assert set(figures["contributions"]) == set(LEVEL_NAMES)
    assert "| without action |" in table and "47 distinct captions" in table
    page = Page(html)
    for shown in (table, page.text):
        assert f"{result.sum_r:.1f}" in shown
    shown = {hit.video for example in made.assessment.examples for hit in example.hits}
    assert {a["src"] for t, a in page.tags if t == "img"} == {_uri(v) for v in shown}
    assert page.count("article", **{"class": "good"}) == page.count("article", **{"class": "bad"}) == 4
    assert made.subject.captions[made.assessment.examples[0].row] in page.text  # escaped, so it is text again


def _uri(video: int) -> str:
    import base64

    return "data:image/webp;base64," + base64.b64encode(b"webp%d" % video).decode()


def test_the_page_needs_no_network_and_no_script(made: Made, tmp_path: Path) -> None:
    html = write_report(tmp_path, made.assessment, {"model": "m"}, lambda _: None)[2].read_text()
    page = Page(html)
    assert page.count("script") == page.count("img") == 0
    assert all(a.get("href") == "data:," for t, a in page.tags if t == "link")
    assert "url(" not in html and "@import" not in html and "http" not in html
    assert page.count("svg") == 10 + 7  # two legends of five lines; two charts of recall, four of precision, the levels


def test_a_model_without_levels_has_a_report_too(made: Made, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    shape = (len(made.subject.captions), VIDEOS)
    source = GivenScores({name: rng.random(shape, np.float32) for name in ("fused", "latent", "concepts")})
    assessment = assess(source, made.subject, 2)
    assert not assessment.contributions
    html = write_report(tmp_path, assessment, {"model": "hsl"}, lambda _: None)[2].read_text()
    assert "What each level adds" not in html
    assert 'class="curve other-0"' in html and 'class="curve other-1"' in html
    assert "| concepts |" in markdown(assessment)


def test_captions_that_never_repeat_are_reported_once() -> None:
    eye = GivenScores({"fused": np.eye(3, dtype=np.float32)})
    text = markdown(assess(eye, Subject(["a", "b", "c"], ["x", "y", "z"], np.arange(3)), 0))
    assert "No caption repeats" in text
    assert text.count("| fused |") == 2


def test_charts_are_well_formed_and_stay_in_their_frame() -> None:
    x = svg.Axis("k", [1, 10, 100], 1, 100, log=True)
    y = svg.Axis("recall", [0, 100], 0, 100)
    k = np.arange(1, 101, dtype=np.float64)
    chart = svg.line_chart('a "title" & <more>', [svg.Curve("fused & co", "fused", k, k)], x, y)
    points = re.findall(r"([\d.]+),([\d.]+)", next(ElementTree.fromstring(chart).iter("polyline")).attrib["points"])
    xs, ys = ([float(value) for value in column] for column in zip(*points, strict=True))
    assert xs == sorted(xs) and ys == sorted(ys, reverse=True)
    assert 0 < min(xs) < max(xs) < svg._WIDTH and 0 < min(ys) < max(ys) < svg._HEIGHT
    bars = ElementTree.fromstring(svg.bar_chart("t", [svg.Bars("a", [(0.5, "right"), (-0.25, "wrong")])], "mean"))
    right, wrong = bars.iter("rect")
    assert float(right.attrib["width"]) == pytest.approx(2 * float(wrong.attrib["width"]), abs=0.2)
    assert float(wrong.attrib["x"]) + float(wrong.attrib["width"]) == pytest.approx(float(right.attrib["x"]), abs=0.2)


def test_curves_by_hand() -> None:
    ranks = Ranks(np.array([0, 0, 1]), np.array([1, 4, 2]), 5)
    np.testing.assert_allclose(ranks.recall_curve(3), [0.5, 1, 1])
    precision, recall = ranks.precision_recall()
    np.testing.assert_allclose(precision, [1 / 2, 2 / 4, 2 / 6, 3 / 8, 3 / 10])
    np.testing.assert_allclose(recall, [0.25, 0.75, 0.75, 1, 1])
