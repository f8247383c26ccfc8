"""`quartet train`: make a checkpoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from model.errors import InputError
from service.cli.common import console

if TYPE_CHECKING:
    from model.evaluation.metrics import Retrieval

CaptionsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Caption files: JSONL, MSR-VTT, VATEX or an HGR folder. Not for demo.", show_default=False),
]
FeaturesOption = Annotated[
    Path | None, typer.Option(help="HDF5 file of frame features; `quartet features` makes one.", show_default=False)
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(help="The backbone's weights: the checkpoint can then index videos.", show_default=False),
]
ParserOption = Annotated[
    str | None,
    typer.Option(
        help="Package of an installed spaCy pipeline that reads the captions. Not for demo.", show_default="bundled"
    ),
]
TestListOption = Annotated[
    Path | None, typer.Option(help="CSV with the video_id of every test video, such as 1k-A.", show_default=False)
]
GloveOption = Annotated[
    Path | None,
    typer.Option(
        help="Text file of word vectors to start from (GloVe), instead of the sentence encoder's words.",
        show_default=False,
    ),
]


def train(
    captions: CaptionsArgument = None,
    features: FeaturesOption = None,
    backbone_weights: WeightsOption = None,
    test_list: TestListOption = None,
    glove: GloveOption = None,
    parser: ParserOption = None,
    preset: Annotated[str, typer.Option(help="paper, or demo: the bundled model, on the generated world.")] = "paper",
    out: Annotated[Path, typer.Option(help="Folder of the new checkpoint; logs go below it.")] = Path("runs/model"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model on one machine.")] = 0,
) -> None:
    """Train a model on captioned videos, or the bundled one from nothing.

    Your own videos need captions and a file of frame features. Where the captions name no validation split, a tenth
    of the training videos validates.

    [dim]quartet train captions.jsonl --features features.h5 --backbone-weights resnet152.pth --out runs/mine[/]

    The preset demo needs no input: it renders its own clips. It takes about 48 minutes of
    processor time, spread over two cores.

    [dim]quartet train --preset demo --out runs/demo --seed 1[/]
    """
    from model.presets import preset as preset_of

    chosen = preset_of(preset)
    try:
        import lightning  # noqa: F401
    except ImportError as error:
        raise InputError("Training needs the extra `train`. Run: pip install 'quartet[train]'") from error
    began = time.monotonic()
    if preset == "demo" and not captions:
        if glove is not None:
            raise InputError("--glove needs captions to train on: the generated world has its own words.")
        if parser is not None:
            raise InputError("The preset demo trains with the bundled caption parser. Leave out --parser.")
        history = _train_demo(out, seed)
    else:
        if not captions or features is None:
            raise InputError("Name caption files and, with --features, the frame features to train on.")
        from model.training.readers import read_captions
        from model.training.run import train_on_features

        read = read_captions(captions, test_list)
        for note in read.notes:
            typer.echo(note, err=True)
        history = train_on_features(
            chosen, read, features, out, seed, typer.echo, backbone_weights, glove=glove, parser=parser
        )
    best = max(history, key=lambda epoch: epoch["fused"].sum_r)
    per_level = "  ".join(f"{name} {result.sum_r:.0f}" for name, result in best.items())
    typer.echo(f"{out}: validation SumR {per_level}, after {(time.monotonic() - began) / 60:.1f} min")


def _train_demo(out: Path, seed: int) -> list[dict[str, Retrieval]]:
    from demo.train import train_demo

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[details]}"),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    bar = Progress(*columns, console=console())

    def report(stage: str, done: int, total: int, details: str) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, details=details)
        bar.update(tasks[stage], completed=done, details=details)
        if stage.startswith("sentences, val") and done == total:
            bar.stop()  # Lightning draws its own bar for the towers, and two live displays cannot share a terminal

    with bar:
        return train_demo(out, out / "log", seed, report)
