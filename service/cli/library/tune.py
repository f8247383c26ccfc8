"""`quartet tune`: from which size a library is searched approximately, and how its model is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from service.cli.options import LibraryOption, console, library_of, settings_of


def tune(
    library: LibraryOption = None,
    approximate_from: Annotated[
        int, typer.Option(min=1000, help="Items from which clips or captions are searched approximately.")
    ] = 200_000,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Instead: take the prompts of this JSON file for every query.", show_default=False),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Instead: go back from the last change of prompts or weights.")
    ] = False,
) -> None:
    """Set from which size a library is searched approximately, and learn the codebooks for that anew.

    A library below the size is searched exactly, by scanning, and needs none of this. One that grows past it gets its
    codebooks when it does; use this for another size, or when `quartet status` says that training is due.

    [dim]quartet tune --library my-library --approximate-from 100000[/]

    With --prompts it sets how a two-tower model is asked: templates by level, in which {} stands for the phrase (at the
    global level for the sentence). The vectors of several are averaged. Clips need not be indexed again.

    [dim]quartet tune --library my-library --prompts prompts.json[/]

    A file with {"entity": ["a photo of {}", "a close-up of {}"]} leaves the other levels as they are. Weights are
    set by `quartet evaluate --fit-weights --save`.
    """
    settings = settings_of(library=library)
    folder = library_of(settings)
    if prompts is not None or undo:
        if prompts is not None and undo:
            raise typer.BadParameter("It goes back from a change; give --prompts by itself.", param_hint="--undo")
        _set_prompts(folder, prompts) if prompts is not None else _undo(folder)
        return

    from indexer.search.approximate.encoding import encoding_of
    from indexer.store.generation import KINDS
    from indexer.store.publishing import encode_anew

    out = console()
    with out.status("Training"):
        generation = encode_anew(folder, approximate_from)
    for kind in KINDS:
        encoding = encoding_of(generation.gallery(kind))
        out.print(f"{kind}: {'exact, by scanning' if encoding is None else encoding.describe()}", highlight=False)


def _set_prompts(folder: Path, path: Path) -> None:
    from indexer.store.library import built_by
    from indexer.store.search_settings import read_search_settings, write_search_settings
    from model.two_tower.phrases import checked_templates
    from quartet.errors import InputError

    built_by(folder)  # raises for a folder that is no library
    try:
        templates = checked_templates(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    known = read_search_settings(folder)
    write_search_settings(folder, replace(known, prompts=templates, prompts_from=f"{path.name}, set by quartet tune"))
    levels = ", ".join(f"{level} {len(own)}" for level, own in templates.items())
    typer.echo(f"Prompts set: {levels}. {_EFFECT}")


def _undo(folder: Path) -> None:
    from indexer.store.library import built_by
    from indexer.store.search_settings import undo

    built_by(folder)
    now = undo(folder)
    typer.echo("\n".join(["Undone. What is set now:", *(now.notes() or ["The prompts and weights of the model."])]))


_EFFECT = "Searches use them from now on, a service that runs from its next start. Go back with: quartet tune --undo"
