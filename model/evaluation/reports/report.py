"""An assessment on disk: `results.json`, `results.md` and `report.html` in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from model.evaluation.assessment import Assessment
from model.evaluation.cutoffs import CUTOFFS, Cutoff
from model.evaluation.metrics import chance
from model.evaluation.ranks import Ranks
from model.evaluation.reports.html_report import page
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

About = Mapping[str, str]
"""What was measured, by headings such as "model" and "split"."""

CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Where the curve of precision against recall is written down."""

Picture = Callable[[int], bytes | None]
"""A WebP picture of a video by its number, or None where there is none."""


def write_report(folder: Path, assessment: Assessment, about: About, picture: Picture) -> list[Path]:
    """Write the three files, making the folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "results.json": json.dumps(to_json(assessment, about), indent=1) + "\n",
        "results.md": f"# Evaluation of {about['model']}\n\n{_about_lines(about)}\n\n{markdown(assessment)}\n",
        "report.html": page(assessment, about, picture),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in files]


def to_json(assessment: Assessment, about: About) -> dict[str, object]:
    """Every figure of the tables, unrounded."""
    protocols = {}
    for protocol in PROTOCOLS:
        fused = assessment.ranks[protocol][FUSED]
        directions = {"text_to_video": fused.text_to_video, "video_to_text": fused.video_to_text}
        protocols[protocol] = {
            "results": {name: r.to_json() for name, r in assessment.results(protocol).items()},
            "cutoffs": {n: [asdict(Cutoff.of(ranks, k)) for k in CUTOFFS] for n, ranks in directions.items()},
            "precision_recall": {name: _curve(ranks) for name, ranks in directions.items()},
            "chance": {name: chance(ranks.relevant, ranks.gallery) for name, ranks in directions.items()},
        }
    levels = {name: asdict(part) for name, part in assessment.contributions.items()}
    graded = dict(zip(("text_to_video", "video_to_text"), assessment.graded, strict=True))
    return {
        "about": dict(about),
        "protocols": protocols,
        "graded_ndcg10": graded,
        "contributions": levels,
        "contrast": {
            kind: {name: asdict(one) for name, one in own.items()} for kind, own in assessment.contrast.items()
        },
        "labels": {level: dict(counts.most_common()) for level, counts in assessment.labels.items()},
    }


def _curve(ranks: Ranks) -> list[dict[str, float]]:
    """Precision and recall of the first k, for each k of `CURVE` that the gallery has."""
    precision, recall = ranks.precision_recall()
    points = [k for k in CURVE if k <= ranks.gallery]
    return [{"k": k, "precision": float(precision[k - 1]), "recall": float(recall[k - 1])} for k in points]


def markdown(assessment: Assessment) -> str:
    """The tables with their protocols."""
    parts = []
    for section in sections(assessment):
        parts += [f"## {section.title}", section.sentences, *(table.markdown() for table in section.tables)]
    parts.append(graded_sentence(assessment))
    for table in (level_table(assessment), contrast_table(assessment), label_table(assessment)):
        if table is not None:
            parts += [f"## {table.title}", *filter(None, [table.sentences]), table.markdown()]
    return "\n\n".join([*parts, RULES])


def _about_lines(about: About) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in about.items())
