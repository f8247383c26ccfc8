"""`quartet tune`: from which size a library is searched approximately, and how its model is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.cli import remote
from service.cli.options import LibraryOption, LineOption, console, library_of, settings_of
from service.cli.remote import ServerOption, asked


def tune(
    library: LibraryOption = None,
    approximate_from: Annotated[
        int, typer.Option(min=1000, help="Number of items from which the search is approximate.")
    ] = 200_000,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Do not train; set the prompts of every query from this JSON file.", show_default=False),
    ] = None,
    parser: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANGUAGE=PIPELINE",
            help="Do not train; read queries in this language with this spaCy pipeline. Repeatable.",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Do not train; undo the last change of prompts, parsers or weights.")
    ] = False,
    as_json: LineOption = False,
    server: ServerOption = None,
) -> None:
    """Set the size from which a library is searched approximately, and train its codebooks again.

    A smaller library is searched exactly and needs no training. A library that grows past the size gets its codebooks
    automatically. Run this command for another size, or when `quartet status` recommends training.

    [dim]quartet tune --library my-library --approximate-from 100000[/]

    --prompts sets the text templates of a two-tower model, by level. {} stands for the phrase, at the global level
    for the sentence. The vectors of several templates are averaged. Clips need not be indexed again.

    [dim]quartet tune --library my-library --prompts prompts.json[/]

    A file with {"entity": ["a photo of {}", "a close-up of {}"]} changes the entity level only. Set weights with
    `quartet evaluate --fit-weights --save`.

    --parser names installed pipelines for queries to a multilingual two-tower model that are not English. Without one,
    such a query has the global level alone.

    [dim]quartet tune --library my-library --parser de=de_core_news_sm[/]
    """
    if server is not None:
        with asked(server, library, prompts=prompts, parser=parser, undo=undo, json=as_json) as client:
            tuned = remote.finished(client, client.tune(approximate_from)).tuning
        assert tuned is not None
        _print_galleries(tuned.galleries)
        return
    settings = settings_of(library=library)
    folder = library_of(settings)
    if prompts is not None or parser or undo:
        if undo and (prompts is not None or parser):
            raise typer.BadParameter("--undo cannot be combined with --prompts or --parser.", param_hint="--undo")
        if prompts is not None:
            _set_prompts(folder, prompts)
        if parser:
            _set_parsers(folder, parser)
        if undo:
            _undo(folder)
        return

    from indexer.search.approximate.encoding import encoding_of
    from indexer.store.generation import KINDS
    from indexer.store.publishing import encode_again

    with (Console(stderr=True) if as_json else console()).status("Training"):
        generation = encode_again(folder, approximate_from)
    encodings = {kind: encoding_of(generation.gallery(kind)) for kind in KINDS}
    galleries = {kind: None if one is None else one.describe() for kind, one in encodings.items()}
    if as_json:
        typer.echo(json.dumps({"event": "tuning", "generation": generation.name, "galleries": galleries}))
    else:
        _print_galleries(galleries)


def _print_galleries(galleries: Mapping[str, str | None]) -> None:
    for kind, codes in galleries.items():
        console().print(f"{kind}: {codes or 'exact, by scanning'}", highlight=False)


def _set_prompts(folder: Path, path: Path) -> None:
    from indexer.store.manifest import built_by
    from indexer.store.search_settings import read_search_settings, write_search_settings
    from model.two_tower.phrases import checked_templates
    from quartet.errors import InputError

    built_by(folder)  # raises for a folder that is not a library
    try:
        templates = checked_templates(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    known = read_search_settings(folder)
    write_search_settings(folder, replace(known, prompts=templates, prompts_from=f"{path.name}, set by quartet tune"))
    levels = ", ".join(f"{level} {len(own)}" for level, own in templates.items())
    typer.echo(f"Prompts set: {levels}. {_EFFECT}")


def _set_parsers(folder: Path, given: list[str]) -> None:
    from indexer.store.manifest import built_by
    from indexer.store.search_settings import read_search_settings, write_search_settings
    from model.encoder import checked_parsers
    from model.language.spacy_parser import load_parsers

    built_by(folder)
    known, parsers = read_search_settings(folder), checked_parsers(given)
    read = load_parsers(parsers)
    write_search_settings(folder, replace(known, parsers={**known.parsers, **parsers}))
    names = ", ".join(f"{language} {own.name}" for language, own in read.items())
    typer.echo(f"Parsers set: {names}. {_EFFECT}")


def _undo(folder: Path) -> None:
    from indexer.store.manifest import built_by
    from indexer.store.search_settings import undo

    built_by(folder)
    now = undo(folder)
    typer.echo(
        "\n".join(
            ["Undone. Current settings:", *(now.describe() or ["The prompts, parsers and weights of the model."])]
        )
    )


_EFFECT = "New searches use them; restart a running service. Undo with: quartet tune --undo"
