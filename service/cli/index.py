"""`quartet index`: put videos into a library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.common import DeviceOption, LibraryOption, ModelOption, console, library_of, settings_of
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from indexer.build import IndexReport
    from indexer.progress import Progress as IndexProgress
    from service.settings import Settings


def index(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATHS", help="Video files, and folders to look through for videos.")
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a file was refused.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Files that are decoded at the same time.")] = 1,
) -> None:
    """Index videos at four levels, into a library.

    A library is made if there is none. Run it again after a change: files that are known, even under a new
    name, are not encoded again, and deleted ones leave the index. It can be stopped with Ctrl-C at any time;
    the next run goes on where it stopped.

    A file that cannot be used is listed with the reason and does not stop the others.

    [dim]quartet index ~/Videos --library my-library[/]

    [dim]quartet index a.mp4 b.mkv --library my-library --model runs/news --strict[/]
    """
    settings = settings_of(library=library, model=model, device=device)
    library_of(settings)
    report = run_index(settings, paths, workers)
    if report.interrupted or (strict and report.refused):
        raise typer.Exit(1)


def run_index(settings: Settings, paths: Sequence[Path], workers: int = 1) -> IndexReport:
    """Index `paths` into the library of `settings`, with a progress bar, and print what was done."""
    from indexer.build import index_videos
    from model.registry import load_encoder

    folder = library_of(settings)
    out = console()
    with out.status("Loading the model"):
        encoder = load_encoder(settings.model, device=settings.device)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[file]}"),
    )  # fmt: skip
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("Indexing", total=None, file="")

        def show(progress: IndexProgress) -> None:
            name = escape(progress.path.name) if progress.path is not None else ""
            bar.update(task, completed=progress.done, total=progress.total, file=name)

        report = index_videos(folder, paths, encoder, on_progress=show, workers=workers)
    _print_report(report, folder)
    return report


def _print_report(report: IndexReport, folder: Path) -> None:
    out = console()
    if report.interrupted:
        out.print("[yellow]Stopped.[/] The library is valid. Run the same command again to go on.")
    out.print(
        f"[bold]{report.indexed}[/] indexed, {report.unchanged} unchanged, {report.moved} renamed, "
        f"{report.removed} removed, {len(report.refused)} refused, in {report.seconds:.1f} s"
    )
    if report.refused:
        out.print(failures_table(report.refused))
    out.print(f"{folder} now has {report.clips_total} clips (generation {report.generation}).", highlight=False)
