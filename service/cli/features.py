"""`quartet features`: frame features of videos in one file, to train on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.common import console
from service.cli.tables import failures_table


def features(
    videos: Annotated[Path, typer.Argument(help="A folder of videos.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The HDF5 file; what it has already is not made again.")],
    weights: Annotated[Path, typer.Option(help="State dict of the backbone, .safetensors or .pth.")],
    backbone: Annotated[str, typer.Option(help="Any torchvision classifier.")] = "resnet152",
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Frames per video.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Encode the frames of videos with a torchvision backbone into an HDF5 file.

    One (T, D) dataset per video, named by its path below the folder without the suffix. It can be stopped at any
    time; the next run goes on. A file that cannot be read is listed with its reason.

    [dim]quartet features ~/MSRVTT/videos --weights resnet152.pth --out msrvtt.h5[/]
    """
    from indexer.catalog import Failure
    from indexer.decode import sample_frames
    from model.backbones import Backbone, BackboneConfig
    from model.errors import InputError, VideoError
    from model.registry import resolve_device
    from model.training.feature_file import FeatureFile
    from model.training.readers import named

    if not videos.is_dir():
        raise InputError(f"{videos} is no folder.")
    network = Backbone(BackboneConfig(backbone)).eval()
    network.load_weights(weights)
    network.to(resolve_device(device))
    files = sorted(path for path in videos.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = {path: str(path.relative_to(videos).with_suffix("")) for path in files}
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    if shared:
        raise InputError(f"{named('names belong to several files; rename them', shared)}.")
    refused = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        FeatureFile(out, writable=True, backbone=network.config) as store,
        Progress(*columns, console=console()) as bar,
    ):
        for path in bar.track(files, description="Encoding"):
            if names[path] in store:
                continue
            try:
                clip = sample_frames(path, frames)
            except VideoError as error:
                refused.append(Failure(path, error.reason, error.detail))
                continue
            store.add(names[path], network.features([clip.frames])[0])
    console().print(f"{out}: features of {len(files) - len(refused)} videos, {len(refused)} refused.", highlight=False)
    if refused:
        console().print(failures_table(refused))
