"""`quartet export`: the vectors of a library to Milvus, for more clips than one machine holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.options import LibraryOption, console, counted, library_of, settings_of

if TYPE_CHECKING:
    from indexer.milvus.export import OnProgress


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
) -> None:
    """Copy the vectors of a library to Milvus, and search there.

    Catalogue and pictures stay in the library. A service with QUARTET_MILVUS set to the same address searches Milvus.
    It switches to the new export when the copy is complete; no request fails. Export again after every `quartet
    index`; only new vectors are copied.

    [dim]quartet export --library my-library --to milvus://localhost:19530/news[/]

    [dim]QUARTET_MILVUS=milvus://localhost:19530/news quartet serve --library my-library[/]
    """
    settings = settings_of(library=library, milvus=to)
    folder = library_of(settings)
    if not settings.milvus:
        raise typer.BadParameter("Name the Milvus address, here or in QUARTET_MILVUS.", param_hint="--to")

    from indexer.milvus.export import export_library
    from service.encoders.model_choice import encoder_at_hand

    with _progress() as show:
        report = export_library(
            folder,
            settings.milvus,
            settings.token(),
            partial(encoder_at_hand, settings),
            recall,
            replace_other=replace,
            on_progress=show,
        )
    what = f"generation {report.generation}, {counted(report.counts['clips'], 'clip')}, "
    what += counted(report.counts["captions"], "caption")
    done = "now has" if report.written else "already had"
    console().print(f"{escape(settings.milvus)} {done} {what}.", highlight=False)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar per gallery."""
    columns = (TextColumn("Exporting {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as bars:
        tasks = {}

        def show(kind: str, done: int, total: int) -> None:
            if kind not in tasks:
                tasks[kind] = bars.add_task(kind)
            bars.update(tasks[kind], completed=done, total=total)

        yield show
