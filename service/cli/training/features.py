"""`quartet features`: frame features of videos in one file, to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.options import console, let_threads_sleep, settings_of
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from model.vision.frame_networks import FrameNetwork


TwoTowerOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="A prepared CLIP or SigLIP model, or its folder, instead of a backbone.", show_default=False
    ),
]


def features(
    videos: Annotated[Path, typer.Argument(help="A folder of videos.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The HDF5 file. Features that it already has are kept.")],
    weights: Annotated[
        Path | None, typer.Option(help="State dict of the backbone, .safetensors or .pth.", show_default=False)
    ] = None,
    backbone: Annotated[str, typer.Option(help="With --weights: any torchvision classifier.")] = "resnet152",
    model: TwoTowerOption = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="With --model: the frames as its tower takes them, for vop in compare.")
    ] = False,
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Frames per video.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Number of videos decoded at the same time.")] = 1,
) -> None:
    """Encode the frames of videos into an HDF5 file, with a torchvision backbone or a two-tower model.

    One (T, D) dataset per video, named by its path below the folder without the suffix. You can stop it at any time;
    the next run continues. A file that cannot be read is listed with its reason.

    [dim]quartet features ~/MSRVTT/videos --weights resnet152.pth --out msrvtt.h5[/]

    [dim]quartet features ~/MSRVTT/videos --model clip-ViT-B-32 --out msrvtt-clip.h5[/]
    """
    let_threads_sleep()
    from indexer.ingest.frame_features import by_name, encode_videos, files_below  # loads PyTorch

    files = by_name(files_below(videos))
    network = load_network(backbone, weights, model, device, pixels)
    with stage_bar("Encoding") as bar:
        report = encode_videos(files, network, out, frames, bar, workers)
    done = report.encoded + report.known
    console().print(f"{out}: features of {done} videos, {len(report.refused)} refused.", highlight=False)
    if report.refused:
        console().print(failures_table(report.refused))


def load_network(
    name: str, weights: Path | None, two_tower: str | None, device: str, pixels: bool = False
) -> FrameNetwork:
    """What sees the frames, ready on its device: the backbone `name` with published weights, or a two-tower model.

    With `pixels` the features of the latter are the frames that its tower takes.
    Raises InputError or ModelError.
    """
    from model.registry import resolve_device
    from model.vision.backbone_config import BackboneConfig
    from model.vision.backbones import Backbone
    from model.vision.frame_networks import load_two_tower
    from quartet.errors import InputError

    if (weights is None) == (two_tower is None):
        raise InputError("Give either --weights, the weights of a backbone, or --model, a two-tower model.")
    if pixels and two_tower is None:
        raise InputError("--pixels goes with --model.")
    if two_tower is not None:
        tower = load_two_tower(two_tower, settings_of().models, resolve_device(device), pixels)
        return tower if pixels else tower.freeze()
    assert weights is not None
    network = Backbone(BackboneConfig(name)).eval()
    network.load_weights(weights)
    network.freeze()
    return network.to(resolve_device(device))


@contextmanager
def stage_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the time left, and the function that moves it: (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
