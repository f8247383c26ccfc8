"""`quartet watch`: keep a library up to date with folders that change."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer
from rich.markup import escape

from service.cli.library.index import (
    CutOption,
    KeepOption,
    LinesOption,
    OverlapOption,
    PathsArgument,
    SegmentOption,
    WindowOption,
    WorkersOption,
    print_report,
    segmentation_of,
)
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    RootOption,
    console,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.progress import json_lines, json_report


def watch(
    paths: PathsArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    keep_missing: KeepOption = False,
    settle: Annotated[float, typer.Option(min=0.1, help="Seconds without a change before a run begins.")] = 2.0,
    poll: Annotated[
        bool, typer.Option("--poll", help="List the folders again and again: for network shares that report nothing.")
    ] = False,
    workers: WorkersOption = 1,
    segment: SegmentOption = None,
    window: WindowOption = None,
    overlap: OverlapOption = None,
    cut: CutOption = None,
    as_json: LinesOption = False,
) -> None:
    """Index folders, and again whenever they change, until Ctrl-C.

    A file that is being copied is left alone until it has come to rest. A service on the same library changes
    over to each new generation by itself.

    [dim]quartet watch ~/Videos --library my-library[/]
    """
    settings = settings_of(library=library, model=model, device=device, roots=roots_of(root))
    folder = library_of(settings)

    from indexer.ingest.file_walk import resolve_inputs
    from indexer.ingest.folder_watch import watch_videos
    from quartet.errors import InputError
    from service.encoders.model_choice import open_encoder

    resolve_inputs(paths)  # a slip of the pen is told before the model is loaded
    segmentation = segmentation_of(segment, window, overlap, cut)
    with console().status("Loading the model") if not as_json else nullcontext():
        encoder = open_encoder(settings)
    with json_lines() as lines:
        for report in watch_videos(
            folder,
            paths,
            encoder,
            settle=settle,
            poll=poll,
            on_progress=lines if as_json else None,
            workers=workers,
            segmentation=segmentation,
            keep_missing=keep_missing,
            roots=settings.roots,
            catalog=settings.catalog,
            on_polling=_say_why,
        ):
            if isinstance(report, InputError):
                console().print(f"[yellow]Left as it is:[/] {escape(str(report))}", highlight=False)
            elif as_json:
                typer.echo(json_report(report))
            else:
                print_report(report, folder)
                if not report.interrupted:
                    console().print("[dim]Waiting for changes. Ctrl-C stops it.[/]")


def _say_why(reason: str) -> None:
    typer.secho(
        f"The system cannot watch these folders ({reason}): they are listed again and again instead, as with --poll. "
        "On Linux, raise fs.inotify.max_user_watches and max_user_instances to have them watched.",
        fg=typer.colors.YELLOW,
        err=True,
    )
