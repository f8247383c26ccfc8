"""`quartet evaluate`: how well a model finds captioned videos, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import InputError
from service.cli.common import DeviceOption, LibraryOption, ModelOption, console, library_of, settings_of

if TYPE_CHECKING:
    from model.evaluation.metrics import Retrieval
    from model.training.dataset import CaptionedVideo
    from service.settings import Settings

CaptionsArgument = Annotated[
    list[Path], typer.Argument(help="Caption files: JSONL, MSR-VTT, VATEX or an HGR folder.", show_default=False)
]
FeaturesOption = Annotated[
    Path | None, typer.Option(help="Measure on frame features in this HDF5 file instead.", show_default=False)
]
SplitOption = Annotated[str | None, typer.Option(help="Only this split: train, val or test.", show_default=False)]
TestListOption = Annotated[
    Path | None, typer.Option(help="CSV with the video_id of every test video, such as 1k-A.", show_default=False)
]
OutOption = Annotated[Path | None, typer.Option(help="Write the figures to this JSON file too.", show_default=False)]


def evaluate(
    captions: CaptionsArgument,
    library: LibraryOption = None,
    features: FeaturesOption = None,
    split: SplitOption = None,
    test_list: TestListOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
) -> None:
    """Measure retrieval: recall, median rank and SumR, both directions.

    With a library, clips are what its index stores, so decoding and indexing are part of what is measured. Every
    caption is a query; ties count against the model. Prints Markdown: one row for the fused score, one for each level
    alone, one for chance.

    [dim]quartet evaluate quartet-demo/captions.jsonl --library quartet-demo/library[/]

    [dim]quartet evaluate captions.jsonl --split test --features features.h5 --model runs/mine[/]
    """
    from model.evaluation.report import markdown_table, write_json
    from model.training.readers import read_captions

    read = read_captions(captions, test_list)
    for note in read.notes:
        typer.echo(note, err=True)
    videos = list(read.videos) if split is None else read.split(split)
    if not videos:
        raise InputError(f"The caption files have no videos in the split {split!r}.")
    settings = settings_of(library=library, model=model, device=device)
    if features is None:
        results, about = _on_library(settings, videos)
    else:
        results, about = _on_features(settings, videos, features)
    typer.echo(markdown_table(results))
    if out is not None:
        write_json(out, results, about | {"captions": [path.name for path in captions], "split": split or "all"})


Measured = tuple["dict[str, Retrieval]", "dict[str, object]"]
"""The metrics by row, and which model they are of."""


def _on_library(settings: Settings, videos: list[CaptionedVideo]) -> Measured:
    folder = library_of(settings)

    import numpy as np

    from indexer.library import Library
    from model.evaluation.metrics import evaluate as measure
    from model.registry import load_encoder
    from model.training.checks import named

    with console().status("Loading the model"):
        encoder = load_encoder(settings.model, device=settings.device)
    with Library.open(folder) as library:
        library.check_encoder(encoder.spec)
        clips = {clip.path.name: clip.id for clip in library.catalog.list_clips(limit=None)}
        missing = [video.video for video in videos if video.video not in clips]
        if missing:
            raise InputError(f"{named(f'videos are not in the library {folder}', missing)}.")
        gallery = library.current().clips.vectors([clips[video.video] for video in videos])
    texts = [caption for video in videos for caption in video.captions]
    owner = np.repeat(np.arange(len(videos)), [len(video.captions) for video in videos])
    with console().status("Encoding captions"):
        queries = encoder.text_queries(encoder.encode_texts(texts).vectors)
    about: dict[str, object] = {"model": encoder.spec.name, "fingerprint": encoder.spec.fingerprint}
    return measure(encoder.spec.levels, queries, gallery, owner), about


def _on_features(settings: Settings, videos: list[CaptionedVideo], features: Path) -> Measured:
    from model.registry import checkpoint_folder
    from model.training.run import evaluate_on_features

    results, checkpoint = evaluate_on_features(checkpoint_folder(settings.model), videos, features)
    return results, {"model": checkpoint.name, "fingerprint": checkpoint.fingerprint, "features": features.name}
