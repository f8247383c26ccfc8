"""`quartet export`: the vectors of a library to Milvus, for more clips than one machine holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli import remote
from service.cli.options import LibraryOption, LineOption, console, counted, library_of, settings_of
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.milvus.export import OnProgress
    from quartet.schemas.jobs import Exported


def export(
    library: LibraryOption = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="ADDRESS",
            help="milvus://HOST:PORT/NAME, milvus+tls://HOST:PORT/NAME, or milvus:///FOLDER/FILE.db for Milvus Lite. "
            "Default: QUARTET_MILVUS.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another library of that name.")] = False,
    recall: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="Target recall@10 for the inverted lists of a large library.")
    ] = 0.99,
    as_json: LineOption = False,
    server: ServerOption = None,
) -> None:
    """Copy the vectors of a library to Milvus, and search there.

    Catalogue and pictures stay in the library. A service with QUARTET_MILVUS set to the same address searches Milvus.
    It switches to the new export when the copy is complete; no request fails. Export again after every `quartet
    index`; only new vectors are copied.

    [dim]quartet export --library my-library --to milvus://localhost:19530/news[/]

    [dim]QUARTET_MILVUS=milvus://localhost:19530/news quartet serve --library my-library[/]

    With --server, the service copies its library to the Milvus that it is set to search.

    [dim]quartet export --server http://localhost:8000[/]
    """
    if server is not None:
        with asked(server, library, to=to, json=as_json) as client:
            exported = remote.finished(client, client.export_to_milvus(replace, recall)).export
        assert exported is not None
        _print_export("The Milvus of the service", exported)
        return
    settings = settings_of(library=library, milvus=to)
    folder = library_of(settings)
    if not settings.milvus:
        raise typer.BadParameter("Name the Milvus address, here or in QUARTET_MILVUS.", param_hint="--to")

    from indexer.milvus.export import export_library
    from quartet.schemas.jobs import Exported
    from service.encoders.model_choice import encoder_at_hand

    with _progress(Console(stderr=True) if as_json else console()) as show:
        report = export_library(
            folder,
            settings.milvus,
            settings.token(),
            partial(encoder_at_hand, settings),
            recall,
            replace_other=replace,
            on_progress=show,
        )
    exported = Exported(generation=report.generation, written=report.written, **report.counts)
    if as_json:
        typer.echo(json.dumps({"event": "export", **exported.model_dump()}))
    else:
        _print_export(settings.milvus, exported)


def _print_export(milvus: str, done: Exported) -> None:
    what = f"generation {done.generation}, {counted(done.clips, 'clip')}, {counted(done.captions, 'caption')}"
    console().print(f"{escape(milvus)} {'now has' if done.written else 'already had'} {what}.", highlight=False)


@contextmanager
def _progress(out: Console) -> Iterator[OnProgress]:
    """A bar per gallery."""
    columns = (TextColumn("Exporting {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out) as bars:
        tasks = {}

        def show(kind: str, done: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = bars.add_task(kind)
            bars.update(tasks[kind], completed=done, total=total)

        yield show
