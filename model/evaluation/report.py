"""Evaluation results as JSON and as Markdown tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from model.evaluation.metrics import Recall, Retrieval, chance
from model.levels import LEVEL_NAMES

ROWS = ("fused", *LEVEL_NAMES)


def markdown_table(results: Mapping[str, Retrieval]) -> str:
    """One row for the fused score, one per level alone, one for chance; recalls in percent."""
    head = "| score | t2v R@1 | R@5 | R@10 | MedR | v2t R@1 | R@5 | R@10 | MedR | SumR |"
    lines = [head, "|---" * 10 + "|"]
    for name in ROWS:
        r = results[name]
        cells = [*_cells(r.text_to_video), *_cells(r.video_to_text), f"{r.sum_r:.1f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    fused = results["fused"]
    texts, videos = fused.text_to_video.queries, fused.video_to_text.queries
    at_1, at_5, at_10 = chance(videos)
    lines.append(f"| chance | {at_1:.1f} | {at_5:.1f} | {at_10:.1f} | {videos / 2:.0f} | | | | | |")
    lines.append(f"\n{videos} clips, {texts} captions; every caption is a query, ties count against us.")
    return "\n".join(lines)


def _cells(r: Recall) -> list[str]:
    return [f"{r.r1:.1f}", f"{r.r5:.1f}", f"{r.r10:.1f}", f"{r.median_rank:g}"]


def write_json(path: Path, results: Mapping[str, Retrieval], about: Mapping[str, object]) -> None:
    """The results of every row with what they were measured on."""
    data = {"about": dict(about), "results": {name: r.to_json() for name, r in results.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
