"""`quartet status`: what a library holds."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from service.cli.common import LibraryOption, console, library_of, settings_of
from service.cli.tables import failures_table


def status(library: LibraryOption = None) -> None:
    """Show what a library holds, which model built it, and which files it refused.

    [dim]quartet status --library my-library[/]
    """
    folder = library_of(settings_of(library=library))

    from indexer.library import Library

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
    out = console()
    out.print(table, highlight=False)
    if failures := opened.catalog.failures():
        out.print(failures_table(failures))
