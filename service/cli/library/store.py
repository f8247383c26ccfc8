"""`quartet store`: moving the vectors of a library to Milvus, or back into its folder."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from service.cli.options import LibraryOption, console, counted, library_of, settings_of


def store(
    to: Annotated[
        str,
        typer.Option("--to", metavar="PLACE", help="milvus://HOST:PORT/NAME, or `folder` for the library's own files."),
    ],
    library: LibraryOption = None,
    erase_now: Annotated[
        bool,
        typer.Option(
            "--erase-now",
            help="Delete the previous generation at once. A service may fail until it has switched.",
        ),
    ] = False,
) -> None:
    """Move the vectors of a library to Milvus, where indexing then writes them, or back into its folder.

    Catalogue and pictures stay in the folder, and nothing is encoded again. A running service switches to the new place
    when everything is there. The previous generation stays in the old place until the next one is published: do not
    switch a Milvus off before, or give --erase-now. If the command is interrupted, run it again.

    [dim]quartet store --library my-library --to milvus://localhost:19530/news[/]

    [dim]quartet store --library my-library --to folder[/]
    """
    settings = settings_of(library=library)
    folder = library_of(settings)

    from indexer.store.publishing import move_vectors

    out = console()
    with out.status("Moving the vectors"):
        generation = move_vectors(folder, to, erase_now)
    place = generation.manifest.store or f"the folder {folder}"
    what = f"{counted(len(generation.clips), 'clip')}, {counted(len(generation.captions), 'caption')}"
    out.print(f"The vectors of generation {generation.name} are in {escape(place)}: {what}.", highlight=False)
