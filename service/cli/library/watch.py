"""`quartet watch`: keep a library up to date with folders that change."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from service.cli.library.index import (
    CutOption,
    KeepOption,
    LinesOption,
    OverlapOption,
    PathsArgument,
    SegmentOption,
    TextsOption,
    WindowOption,
    WorkersOption,
    print_report,
    segmentation_of,
)
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    PrecisionOption,
    RootOption,
    console,
    counted,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.progress import json_lines, json_report

if TYPE_CHECKING:
    from model.encoder import Encoder
    from service.settings import Settings


def watch(
    paths: PathsArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
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
    texts: TextsOption = True,
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify",
            metavar="COMMAND",
            help="Run after each run for every saved search with new hits; it reads them as JSON.",
            show_default=False,
        ),
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Index folders, and again whenever they change, until Ctrl-C.

    A file that is being copied is left alone until it has come to rest. A service on the same library changes
    over to each new generation by itself.

    [dim]quartet watch ~/Videos --library my-library[/]

    With --notify a command is told what is new for the searches that `quartet searches save` keeps. It gets one JSON
    object on its standard input for each: the name of the search, and the answer as the API gives it. Where the
    command fails, the same hits are told again after the next run.

    [dim]quartet watch ~/Videos --library my-library --notify ./send-mail.sh[/]
    """
    settings = settings_of(library=library, model=model, device=device, precision=precision, roots=roots_of(root))
    folder = library_of(settings)

    from indexer.ingest.file_walk import resolve_inputs
    from indexer.ingest.folder_watch import watch_videos
    from quartet.errors import InputError
    from service.encoders.model_choice import chosen_precision, open_encoder, remember_precision

    resolve_inputs(paths)  # a slip of the pen is told before the model is loaded
    segmentation = segmentation_of(segment, window, overlap, cut)
    settings = settings.model_copy(update={"precision": chosen_precision(settings)})
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
            publish_every=settings.publish_every,
            texts=texts,
            on_polling=_say_why,
        ):
            if isinstance(report, InputError):
                console().print(f"[yellow]Left as it is:[/] {escape(str(report))}", highlight=False)
                continue
            remember_precision(settings)
            if as_json:
                typer.echo(json_report(report))
            else:
                print_report(report, folder)
            if notify and not report.interrupted:
                told = run_notify(settings, encoder, notify)
                if not as_json:
                    console().print(f"{counted(told, 'saved search')} with new hits told.", highlight=False)
            if not as_json and not report.interrupted:
                console().print("[dim]Waiting for changes. Ctrl-C stops it.[/]")


def run_notify(settings: Settings, encoder: Encoder, command: str) -> int:
    """Tell a command of the new hits of every saved search; returns how many searches were told."""
    from indexer.catalog.saved_searches import mark_seen
    from service.search.engine import Engine
    from service.search.new_hits import all_new_hits

    told = 0
    engine = Engine.open(settings, encoder)
    try:
        for saved, answer, newest in asyncio.run(all_new_hits(engine)):
            message = json.dumps({"search": saved.name, "answer": answer.model_dump(mode="json")})
            done = subprocess.run(shlex.split(command), input=message + "\n", text=True, check=False)
            if done.returncode:
                typer.echo(f"{command} failed with {done.returncode} for the search {saved.name!r}.", err=True)
            else:
                mark_seen(engine.library.catalog.engine, saved.name, newest)
                told += 1
    finally:
        engine.close()
    return told


def _say_why(reason: str) -> None:
    typer.secho(
        f"The system cannot watch these folders ({reason}): they are listed again and again instead, as with --poll. "
        "On Linux, raise fs.inotify.max_user_watches and max_user_instances to have them watched.",
        fg=typer.colors.YELLOW,
        err=True,
    )
