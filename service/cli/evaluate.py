"""`quartet evaluate`: how well a model finds the captioned videos of a library, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.common import DeviceOption, LibraryOption, ModelOption, console, library_of, settings_of

if TYPE_CHECKING:
    from indexer.library import Library
    from model.training.dataset import CaptionedVideo


CaptionsArgument = Annotated[
    Path, typer.Argument(help='JSONL: {"video": name, "captions": [...]} a line.', show_default=False)
]
OutOption = Annotated[Path | None, typer.Option(help="Write the figures to this JSON file too.", show_default=False)]


def evaluate(
    captions: CaptionsArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
) -> None:
    """Measure retrieval on a library with a captioned file: recall, median rank and SumR, both directions.

    Clips are what the library's index stores, so decoding and indexing are part of what is measured. Every caption is
    a query; ties count against the model. Prints Markdown: one row for the fused score, one for each level alone.

    [dim]quartet evaluate quartet-demo/captions.jsonl --library quartet-demo/library[/]
    """
    settings = settings_of(library=library, model=model, device=device)
    folder = library_of(settings)

    import numpy as np

    from indexer.library import Library
    from model.evaluation.metrics import evaluate as measure
    from model.evaluation.report import markdown_table, write_json
    from model.registry import load_encoder
    from model.training.dataset import read_jsonl

    videos = read_jsonl(captions)
    with console().status("Loading the model"):
        encoder = load_encoder(settings.model, device=settings.device)
    with Library.open(folder) as opened:
        opened.check_encoder(encoder.spec)
        clips, missing = _clip_ids(opened, videos)
        if missing:
            typer.secho(f"{len(missing)} videos are not in the library, the first is {missing[0]}.", err=True)
            raise typer.Exit(1)
        gallery = opened.current().clips.vectors(clips)
    texts = [caption for video in videos for caption in video.captions]
    owner = np.repeat(np.arange(len(videos)), [len(video.captions) for video in videos])
    with console().status("Encoding captions"):
        queries = encoder.text_queries(encoder.encode_texts(texts).vectors)
    results = measure(encoder.spec.levels, queries, gallery, owner)
    typer.echo(markdown_table(results))
    if out is not None:
        about = {"model": encoder.spec.name, "fingerprint": encoder.spec.fingerprint, "captions": captions.name}
        write_json(out, results, about)


def _clip_ids(library: Library, videos: list[CaptionedVideo]) -> tuple[list[int], list[str]]:
    """The clip of each video, by file name, and the names that the library does not have."""
    by_name = {clip.path.name: clip.id for clip in library.catalog.list_clips(limit=None)}
    return (
        [by_name[video.video] for video in videos if video.video in by_name],
        [video.video for video in videos if video.video not in by_name],
    )
