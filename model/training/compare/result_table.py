"""Finished runs of a comparison as a table: mean and spread over seeds of every figure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.levels import LEVEL_NAMES
from model.training.compare.paired_bootstrap import Difference, VideoCounts, difference

FORMAT = 1
DISTINCT = "fused per distinct caption"
"""The fused score under the protocol of HGR and HANet (`model/evaluation/relevance.py`)."""

_COLUMNS = {
    "t2v R@1": "test.fused.text_to_video.r1",
    "R@5": "test.fused.text_to_video.r5",
    "R@10": "test.fused.text_to_video.r10",
    "MedR": "test.fused.text_to_video.median_rank",
    "v2t R@1": "test.fused.video_to_text.r1",
    "R@5 ": "test.fused.video_to_text.r5",
    "R@10 ": "test.fused.video_to_text.r10",
    "MedR ": "test.fused.video_to_text.median_rank",
    "SumR": "test.fused.sum_r",
    "SumR distinct": f"test.{DISTINCT}.sum_r",
    "epoch": "best_epoch",
}


@dataclass(frozen=True)
class FinishedRun:
    """One model trained with one seed.

    parameters          that training changes
    best_epoch          the one that was kept and tested, 1 is the first
    train_seconds       wall time of building and training;  train_cpu_seconds: processor time of all threads
    test                metrics by row ("fused", each level alone of models that have levels, and the fused score per
                        distinct caption, which files of earlier versions lack)
    by_video            what the fused SumR is made of: see `paired_bootstrap`. Empty in files of earlier versions
    """

    model: str
    seed: int
    settings: dict[str, Any]
    parameters: int
    epochs: int
    best_epoch: int
    train_seconds: float
    train_cpu_seconds: float
    validation_sum_r: float
    test: dict[str, dict[str, Any]]
    by_video: VideoCounts = field(default_factory=list)


def write_standings(folder: Path, runs: Sequence[FinishedRun], against: str) -> None:
    """Write results.json and table.md of the runs that are finished, and how each model differs from `against`."""
    models = list(dict.fromkeys(run.model for run in runs))
    summaries = {model: summary([run for run in runs if run.model == model]) for model in models}
    data = {
        "format": FORMAT,
        "summary": summaries,
        "against": against,
        "differences": {model: asdict(own) for model, own in differences(runs, against).items()},
        "runs": [{name: value for name, value in asdict(run).items() if name != "by_video"} for run in runs],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(table(runs, against) + "\n", encoding="utf-8")


def summary(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Mean and standard deviation (n - 1; none of a single run) of every figure of one model's runs, by dotted name."""
    figures = [
        _figures({k: v for k, v in asdict(run).items() if k not in ("settings", "seed", "by_video")}) for run in runs
    ]
    return {
        "seeds": [run.seed for run in runs],
        "figures": {
            name: {
                "mean": statistics.fmean(f[name] for f in figures),
                "sd": statistics.stdev(f[name] for f in figures) if len(figures) > 1 else None,
            }
            for name in figures[0]
        },
    }


def differences(runs: Sequence[FinishedRun], against: str) -> dict[str, Difference]:
    """How the SumR of each other model differs from that of `against`, over the seeds that both have."""
    known = {(run.model, run.seed): run.by_video for run in runs if run.by_video}
    found = {}
    for model in dict.fromkeys(run.model for run in runs if run.model != against):
        seeds = [seed for name, seed in known if name == model and (against, seed) in known]
        if seeds:
            found[model] = difference([known[model, seed] for seed in seeds], [known[against, seed] for seed in seeds])
    return found


def table(runs: Sequence[FinishedRun], against: str | None = None) -> str:
    """One row per model in Markdown: mean ± standard deviation over its seeds. Then how each differs from `against`."""
    models = list(dict.fromkeys(run.model for run in runs))
    head = ["model", *_COLUMNS, "parameters", "minutes", "CPU minutes", "seeds"]
    lines = ["| " + " | ".join(name.strip() for name in head) + " |", "|---" * len(head) + "|"]
    for model in models:
        found = summary([run for run in runs if run.model == model])
        figures = found["figures"]
        cells = [_cell(figures[name]) if name in figures else "-" for name in _COLUMNS.values()]
        times = [f"{figures[name]['mean'] / 60:.1f}" for name in ("train_seconds", "train_cpu_seconds")]
        size = f"{figures['parameters']['mean'] / 1e6:.1f} M"
        lines.append("| " + " | ".join([model, *cells, size, *times, str(len(found["seeds"]))]) + " |")
    lines += _levels(runs, models)
    lines += _differences(runs, against)
    one = next(iter(runs)).test["fused"]
    videos, texts = one["video_to_text"]["queries"], one["text_to_video"]["queries"]
    lines.append(
        f'\n{videos} test videos, {texts} captions; every caption is a query, ties count against the model. For "SumR '
        'distinct", a caption that several videos have is one query, and each of them is right. The epoch '
        "that its training keeps was tested: the best by validation SumR, of `plus` the last. Mean ± standard "
        "deviation over seeds."
    )
    return "\n".join(lines)


def _levels(runs: Sequence[FinishedRun], models: Sequence[str]) -> list[str]:
    """A second table: the SumR of every level alone, of the models that have levels."""
    found = {model: summary([run for run in runs if run.model == model])["figures"] for model in models}
    with_levels = {m: f for m, f in found.items() if all(f"test.{level}.sum_r" in f for level in LEVEL_NAMES)}
    if not with_levels:
        return []
    lines = ["", "| SumR of | fused | " + " | ".join(LEVEL_NAMES) + " |", "|---" * (2 + len(LEVEL_NAMES)) + "|"]
    for model, figures in with_levels.items():
        cells = [_cell(figures[f"test.{row}.sum_r"]) for row in ("fused", *LEVEL_NAMES)]
        lines.append("| " + " | ".join([model, *cells]) + " |")
    return lines


def _differences(runs: Sequence[FinishedRun], against: str | None) -> list[str]:
    found = {} if against is None else differences(runs, against)
    if not found:
        return []
    lines = ["", f"| SumR minus that of {against} | difference | 95% of test videos | seeds |", "|---|---|---|---|"]
    lines += [f"| {name} | {d.mean:+.1f} | {d.low:+.1f} to {d.high:+.1f} | {d.seeds} |" for name, d in found.items()]
    return lines


def _cell(figure: Mapping[str, float | None]) -> str:
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.1f}"
    return f"{figure['mean']:.1f}{spread}"


def _figures(data: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number of nested mappings, by its dotted name."""
    found: dict[str, float] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            found |= _figures(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)):
            found[prefix + name] = value
    return found
