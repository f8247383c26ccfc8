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

from service.cli.library.index_options import (
    CutOption,
    KeepOption,
    LinesOption,
    OverlapOption,
    PathsArgument,
    SegmentOption,
    TextsOption,
    WindowOption,
    WorkersOption,
    segmentation_of,
)
from service.cli.library.index_report import print_report
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
    settle: Annotated[float, typer.Option(min=0.1, help="Seconds without a change before a run starts.")] = 2.0,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Check the folders at intervals, for network shares that do not report changes."),
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
            help="Command to run for every saved search with new hits. It reads them as JSON from standard input.",
            show_default=False,
        ),
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Index folders, and index again after every change, until Ctrl-C.

    A file that is still being copied is indexed once it stops changing. A running service switches to each new
    generation automatically.

    [dim]quartet watch ~/Videos --library my-library[/]

    With --notify, a command receives the new hits of saved searches (`quartet searches save`). It reads one JSON
    object per search from standard input: the name of the search, and the answer as the API returns it. If the
    command fails, it receives the same hits again after the next run.

    [dim]quartet watch ~/Videos --library my-library --notify ./send-mail.sh[/]
    """
    settings = settings_of(library=library, model=model, device=device, precision=precision, roots=roots_of(root))
    folder = library_of(settings)

    from indexer.ingest.file_walk import resolve_inputs
    from indexer.ingest.folder_watch import watch_videos
    from quartet.errors import InputError
    from service.encoders.model_choice import chosen_precision, open_encoder, remember_precision

    resolve_inputs(paths)  # a wrong path fails before the model is loaded
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
            store=settings.store,
            on_polling=_say_why,
        ):
            if isinstance(report, InputError):
                console().print(f"[yellow]Not changed:[/] {escape(str(report))}", highlight=False)
                continue
            remember_precision(settings)
            if as_json:
                typer.echo(json_report(report))
            else:
                print_report(report, folder)
            if notify and not report.interrupted:
                notified = run_notify(settings, encoder, notify)
                if not as_json:
                    console().print(f"{counted(notified, 'saved search')} with new hits reported.", highlight=False)
            if not as_json and not report.interrupted:
                console().print("[dim]Waiting for changes. Ctrl-C stops it.[/]")


def run_notify(settings: Settings, encoder: Encoder, command: str) -> int:
    """Tell a command of the new hits of every saved search; returns the number of such searches."""
    from indexer.catalog.saved_searches import mark_seen
    from service.search.engine import Engine
    from service.search.new_hits import all_new_hits

    notified = 0
    engine = Engine.open(settings, encoder)
    try:
        for saved, answer, newest in asyncio.run(all_new_hits(engine)):
            message = json.dumps({"search": saved.name, "answer": answer.model_dump(mode="json")})
            done = subprocess.run(shlex.split(command), input=message + "\n", text=True, check=False)
            if done.returncode:
                typer.echo(f"{command} failed with {done.returncode} for the search {saved.name!r}.", err=True)
            else:
                mark_seen(engine.library.catalog.engine, saved.name, newest)
                notified += 1
    finally:
        engine.close()
    return notified


def _say_why(reason: str) -> None:
    typer.secho(
        f"The system cannot watch these folders ({reason}). Quartet checks them at intervals instead, as with "
        "--poll. On Linux, raise fs.inotify.max_user_watches and max_user_instances.",
        fg=typer.colors.YELLOW,
        err=True,
    )
