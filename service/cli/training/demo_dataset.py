"""`quartet demo-dataset`: the demo world as captions and frame features, to train and compare models on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.options import console


def demo_dataset(
    folder: Annotated[Path, typer.Argument(help="Folder for captions.jsonl and features.h5.", show_default=False)],
    train: Annotated[int, typer.Option(help="Clips to train on.")] = 3000,
    val: Annotated[int, typer.Option(help="Clips to validate on.")] = 300,
    test: Annotated[int, typer.Option(help="Clips to test on.")] = 1000,
    captions: Annotated[int, typer.Option(help="Captions of each clip.")] = 20,
    min_frames: Annotated[int, typer.Option(help="Minimum frames of a clip.")] = 2,
    max_frames: Annotated[int, typer.Option(help="Maximum frames of a clip.")] = 40,
    sight: Annotated[
        int,
        typer.Option(help="Reduce frames to this height in pixels first, which makes the task harder. 0: full size."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed. Another seed gives other clips.")] = 0,
) -> None:
    """Write clips of the demo world as a dataset: captions, and frame features by the bundled frozen backbone.

    The test split shows combinations that the other splits never show. You can stop it at any time; the next run
    continues.

    [dim]quartet demo-dataset runs/world[/]

    [dim]quartet compare runs/world/captions.jsonl --features runs/world/features.h5 --models mcsan,vse++ --epochs 5[/]
    """
    from demo.dataset import FEATURES_FILE, DatasetSpec, write_dataset
    from model.mcsan.checkpoint import load_checkpoint
    from model.registry import checkpoint_folder

    spec = DatasetSpec({"train": train, "val": val, "test": test}, captions, (min_frames, max_frames), sight, seed)
    backbone = load_checkpoint(checkpoint_folder("demo")).backbone
    assert backbone is not None  # the bundled checkpoint sees videos
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("Encoding", total=train + val + test)
        for done, _ in write_dataset(folder, spec, backbone):
            bar.update(task, completed=done)
    console().print(f"{folder / FEATURES_FILE}: features of {train + val + test} clips.", highlight=False)
