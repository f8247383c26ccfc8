"""An assessment as one HTML file: no script, no network, light and dark, for screens of any width."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from model.evaluation.assessment import PER_CAPTION, Assessment
from model.evaluation.examples import RULE, Example
from model.evaluation.metrics import Retrieval
from model.evaluation.ranks import Ranks
from model.evaluation.reports import svg_charts as svg
from model.evaluation.reports.tables import (
    PROTOCOLS,
    RULES,
    contrast_table,
    graded_sentence,
    label_table,
    level_table,
    sections,
)
from model.evaluation.scores import FUSED
from model.levels import LEVEL_NAMES

_FOLDER = Path(__file__).parent
_MAX_K = 100
"""Recall at k is drawn up to this k."""

_OTHERS = 4
"""Line styles that html_report.css has for scores that are not level of ours."""


@dataclass(frozen=True)
class _ShownHit:
    name: str
    caption: str
    picture: str | None
    place: str
    right: bool


@dataclass(frozen=True)
class _ShownExample:
    query: str
    verdict: str
    good: bool
    hits: Sequence[_ShownHit]


def page(assessment: Assessment, about: Mapping[str, str], picture: Callable[[int], bytes | None]) -> str:
    """The page; `picture` gives a WebP picture of a video by its number, or None."""
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    rows = assessment.ranks[PER_CAPTION]
    curves = [name for name in rows if not name.startswith("without ")]
    styles = _styles(curves)
    return environment.get_template("html_report.html.j2").render(
        css=Markup((_FOLDER / "html_report.css").read_text(encoding="utf-8")),
        about=about,
        headline=_headline(assessment),
        sections=sections(assessment),
        rules=RULES,
        legend=[(name, styles[name]) for name in curves],
        recall_charts=_recall_charts(assessment, styles),
        precision_charts=[
            (f"{title}, {sentence.lower()}", chart)
            for protocol, (sentence, _) in PROTOCOLS.items()
            for title, chart in _precision_charts(assessment, protocol, styles)
        ],
        graded=graded_sentence(assessment),
        labels=label_table(assessment),
        contrast=contrast_table(assessment),
        level_chart=_level_chart(assessment),
        levels=level_table(assessment),
        example_rule=RULE,
        examples=_shown(assessment, picture),
    )


def _headline(assessment: Assessment) -> list[tuple[str, str]]:
    """Figures of the fused score, per caption, with what they say."""
    r = Retrieval.of(assessment.ranks[PER_CAPTION][FUSED])
    return [
        (f"{r.sum_r:.1f}", "SumR, of 600"),
        (f"{r.text_to_video.r1:.1f}%", "of captions rank their video first"),
        (f"{r.text_to_video.r10:.1f}%", "of captions rank it in the first ten"),
        (f"{r.video_to_text.r1:.1f}%", "of videos rank one of their captions first"),
    ]


def _styles(names: Sequence[str]) -> dict[str, str]:
    known = (FUSED, *LEVEL_NAMES)
    others = [name for name in names if name not in known]
    return {name: name if name in known else f"other-{others.index(name) % _OTHERS}" for name in names}


def _both(assessment: Assessment, protocol: str, name: str) -> list[tuple[str, Ranks]]:
    both = assessment.ranks[protocol][name]
    return [("Text to video", both.text_to_video), ("Video to text", both.video_to_text)]


def _recall_charts(assessment: Assessment, styles: Mapping[str, str]) -> list[tuple[str, Markup]]:
    charts = []
    for i, (title, fused) in enumerate(_both(assessment, PER_CAPTION, FUSED)):
        longest = min(_MAX_K, fused.gallery)
        lines = []
        for name, style in styles.items():
            ranks = _both(assessment, PER_CAPTION, name)[i][1]
            k = np.arange(1, longest + 1, dtype=np.float64)
            lines.append(svg.Curve(name, style, k, 100 * ranks.recall_curve(longest)))
        x = svg.Axis("k", [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= longest], 1, longest, log=True)
        y = svg.Axis("recall@k, %", range(0, 101, 20), 0, 100)
        charts.append((title, Markup(svg.line_chart(f"{title}: recall at k, k from 1 to {longest}", lines, x, y))))
    return charts


def _precision_charts(assessment: Assessment, protocol: str, styles: Mapping[str, str]) -> list[tuple[str, Markup]]:
    charts = []
    axes = [svg.Axis(f"{what}, %", range(0, 101, 20), 0, 100) for what in ("recall", "precision")]
    for i, (title, _) in enumerate(_both(assessment, protocol, FUSED)):
        lines = []
        for name, style in styles.items():
            precision, recall = _both(assessment, protocol, name)[i][1].precision_recall()
            lines.append(svg.Curve(name, style, 100 * recall, 100 * precision))
        charts.append((title, Markup(svg.line_chart(f"{title}: precision against recall", lines, *axes))))
    return charts


def _level_chart(assessment: Assessment) -> Markup | None:
    if not assessment.contributions:
        return None
    groups = [
        svg.Bars(name, [(part.right, f"{name} right"), (part.wrong, f"{name} wrong")])
        for name, part in assessment.contributions.items()
    ]
    title = "Contribution of each level to the fused score, at the right clip and at the best wrong clip"
    return Markup(svg.bar_chart(title, groups, "mean weighted contribution"))


def _shown(assessment: Assessment, picture: Callable[[int], bytes | None]) -> list[_ShownExample]:
    subject = assessment.subject
    # A video's first caption stands for it where it is shown.
    order = np.argsort(subject.owner, kind="stable")
    first = {int(subject.owner[row]): row for row in order[::-1]}
    pictures: dict[int, str | None] = {}

    def hits(example: Example) -> list[_ShownHit]:
        shown = []
        for hit in example.hits:
            if hit.video not in pictures:
                pictures[hit.video] = _data_uri(picture(hit.video))
            caption = subject.captions[first[hit.video]] if hit.video in first else ""
            place = f"{hit.rank}. {hit.score:.3f}"
            shown.append(_ShownHit(subject.videos[hit.video], caption, pictures[hit.video], place, hit.right))
        return shown

    examples = []
    for example in assessment.examples:
        good = example.rank == 1
        verdict = "right video first" if good else f"right video at rank {example.rank} of {len(subject.videos)}"
        examples.append(_ShownExample(subject.captions[example.row], verdict, good, hits(example)))
    return examples


def _data_uri(webp: bytes | None) -> str | None:
    return None if webp is None else "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")
