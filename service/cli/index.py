"""`quartet index`: put videos into a library."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.common import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    RootOption,
    console,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.progress import json_lines, json_report, progress_bar
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from indexer.build import IndexReport
    from indexer.spans import Segmentation
    from service.settings import Settings

PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="PATHS", help="Video files, and folders to look through for videos.")
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Files that are decoded at the same time.")]
KeepOption = Annotated[
    bool, typer.Option("--keep-missing", help="Keep the videos whose files have gone, instead of taking them out.")
]


class Segment(StrEnum):
    """The ways to divide a file (`indexer.spans`, which is not imported for the sake of the help)."""

    WHOLE = "whole"
    WINDOW = "window"
    SHOT = "shot"


SegmentOption = Annotated[
    Segment, typer.Option(help="Make each file one clip, or divide it into windows of equal length, or at its cuts.")
]
WindowOption = Annotated[float, typer.Option("--window", help="Seconds of a window.")]
OverlapOption = Annotated[float, typer.Option("--overlap", help="Seconds that a window shares with the one before.")]
CutOption = Annotated[
    float, typer.Option("--cut", help="How much two frames must differ for a cut, from 0 to 255: less, more shots.")
]
LinesOption = Annotated[bool, typer.Option("--json", help="Print progress and report as a JSON object a line.")]


def index(
    paths: PathsArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    keep_missing: KeepOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a file was refused.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another writer of the library to finish.")] = False,
    workers: WorkersOption = 1,
    segment: SegmentOption = Segment.WHOLE,
    window: WindowOption = 10.0,
    overlap: OverlapOption = 2.0,
    cut: CutOption = 27.0,
    as_json: LinesOption = False,
) -> None:
    """Index videos at four levels, into a library.

    A library is made if there is none. Run it again after a change: files that are known, even under a new
    name, are not encoded again, and deleted ones leave the index. It can be stopped with Ctrl-C at any time;
    the next run goes on where it stopped.

    A file that cannot be used is listed with the reason and does not stop the others. Files that the library has
    keep the clips they have, also if --segment says otherwise now.

    [dim]quartet index ~/Videos --library my-library[/]

    [dim]quartet index ~/Lectures --library my-library --segment window --window 20 --overlap 5[/]

    [dim]quartet index a.mp4 b.mkv --library my-library --model runs/news --strict[/]
    """
    settings = settings_of(library=library, model=model, device=device, roots=roots_of(root))
    library_of(settings)
    report = run_index(
        settings,
        paths,
        workers,
        segmentation=segmentation_of(segment, window, overlap, cut),
        keep_missing=keep_missing,
        wait=wait,
        as_json=as_json,
    )
    if report.interrupted or (strict and report.refused):
        raise typer.Exit(1)


def segmentation_of(segment: Segment, window: float, overlap: float, cut: float) -> Segmentation:
    """The segmentation that the options ask for. Raises InputError for numbers that make no sense."""
    from indexer.spans import Segmentation

    return Segmentation(segment.value, window, overlap, cut)


def run_index(
    settings: Settings,
    paths: Sequence[Path],
    workers: int = 1,
    *,
    segmentation: Segmentation | None = None,
    keep_missing: bool = False,
    wait: bool = False,
    as_json: bool = False,
) -> IndexReport:
    """Index `paths` into the library of `settings`, showing the progress, and print what was done."""
    from indexer.build import index_videos
    from indexer.spans import WHOLE
    from model.registry import load_encoder

    folder = library_of(settings)
    out = console()
    if as_json:
        encoder = load_encoder(settings.model, device=settings.device)
    else:
        with out.status("Loading the model"):
            encoder = load_encoder(settings.model, device=settings.device)
    with json_lines() if as_json else progress_bar() as show:
        report = index_videos(
            folder,
            paths,
            encoder,
            on_progress=show,
            workers=workers,
            segmentation=segmentation or WHOLE,
            keep_missing=keep_missing,
            roots=settings.roots,
            wait=wait,
            catalog=settings.catalog,
        )
    if as_json:
        typer.echo(json_report(report))
    else:
        print_report(report, folder)
    return report


def print_report(report: IndexReport, folder: Path) -> None:
    """What a run did, for people."""
    out = console()
    if report.interrupted:
        out.print("[yellow]Stopped.[/] The library is valid. Run the same command again to go on.")
    kept = f", {report.missing} missing but kept" if report.missing else ""
    out.print(
        f"[bold]{report.indexed}[/] indexed, {report.unchanged} unchanged, {report.moved} renamed, "
        f"{report.removed} removed{kept}, {len(report.refused)} refused, in {report.seconds:.1f} s"
    )
    if report.refused:
        out.print(failures_table(report.refused))
    out.print(f"{folder} now has {report.clips_total} clips (generation {report.generation}).", highlight=False)
