"""`quartet status`: what a library holds."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from service.cli.common import LibraryOption, console, library_of, settings_of
from service.cli.tables import failures_table


def status(
    library: LibraryOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its checksum.")] = False,
) -> None:
    """Show what a library holds, which model built it, which files it refused, and how it is searched.

    A large library is searched by inverted lists. If what came since they were trained lies elsewhere, it says
    that retraining is due: `quartet tune` does it.

    [dim]quartet status --library my-library[/]
    """
    folder = library_of(settings_of(library=library))

    from indexer.generation import KINDS
    from indexer.generation import verify as check_files
    from indexer.library import Library
    from indexer.lists import tuning_of

    opened = Library.open(folder)
    generation = opened.current()
    counts = opened.catalog.counts()
    model = generation.manifest.model
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in (
        ("library", escape(str(folder.resolve()))),
        ("model", escape(f"{model.name} ({model.fingerprint})")),
        ("", f"[dim]{escape(model.note)}[/]"),
        ("generation", generation.name),
        ("videos", str(counts.videos)),
        ("clips", f"{counts.clips} in the catalogue, {len(generation.clips)} searchable"),
        ("captions", f"{counts.captions} in the catalogue, {len(generation.captions)} searchable"),
    ):
        table.add_row(name, value)
    for kind in KINDS:
        tuning = tuning_of(generation.gallery(kind))
        table.add_row(f"search in {kind}", "exact, by scanning" if tuning is None else escape(tuning.describe()))
        if tuning is not None and tuning.retraining_due:
            table.add_row("", f"[yellow]Retraining is due.[/] {escape(tuning.retraining_due)} Run `quartet tune`.")
    if verify:
        check_files(folder / "generations" / generation.name, generation.manifest)
        table.add_row("checksums", "all files are as they were written")
    out = console()
    out.print(table, highlight=False)
    if failures := opened.catalog.failures():
        out.print(failures_table(failures))
