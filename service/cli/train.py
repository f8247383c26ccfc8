"""`quartet train`: make a checkpoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from model.errors import InputError
from service.cli.common import console


def train(
    preset: Annotated[
        str, typer.Option(help="What to train. demo: the bundled model, on the generated world.")
    ] = "demo",
    out: Annotated[Path, typer.Option(help="Folder of the new checkpoint; logs go below it.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model on one machine.")] = 0,
) -> None:
    """Train a model from scratch.

    The preset demo renders its own training clips, pre-trains the frame backbone on them, then trains the four
    levels on their captions. It takes about half an hour on two cores and needs no GPU.

    [dim]quartet train --preset demo --out runs/demo --seed 1[/]
    """
    from model.presets import preset as preset_of

    preset_of(preset)  # an unknown name is refused here
    if preset != "demo":
        raise InputError(f"There is no training data for preset {preset!r}: this version trains the preset demo only.")
    try:
        import lightning  # noqa: F401
    except ImportError as error:
        raise InputError("Training needs the extra `train`. Run: pip install 'quartet[train]'") from error
    from demo.train import train_demo

    began = time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[details]}"),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    bar = Progress(*columns, console=console())
    # Lightning draws its own bar for the last stage, and two live displays cannot share a terminal.
    with bar:

        def report(stage: str, done: int, total: int, details: str) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total, details=details)
            bar.update(tasks[stage], completed=done, details=details)
            if stage.startswith("sentences, val") and done == total:
                bar.stop()

        history = train_demo(out, out / "log", seed, report)
    best = max(history, key=lambda epoch: epoch["fused"].sum_r)
    per_level = "  ".join(f"{name} {result.sum_r:.0f}" for name, result in best.items())
    typer.echo(f"{out}: validation SumR {per_level}, after {(time.monotonic() - began) / 60:.1f} min")
