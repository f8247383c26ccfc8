"""`quartet tune`: train the inverted lists of a large library."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from service.cli.options import DeviceOption, LibraryOption, ModelOption, console, library_of, settings_of


def tune(
    library: LibraryOption = None,
    recall: Annotated[float, typer.Option(min=0.5, max=1.0, help="Recall@10 to reach.")] = 0.99,
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
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Train how a large library is searched, and choose the cheapest way that reaches a recall.

    A library below the size is searched exactly, by scanning, and needs none of this. One that grows past it is
    trained when it does; use this for another target, or when `quartet status` says that retraining is due.

    The way is chosen with questions as people ask them: captions of the library for its clips, and clips for its
    captions. A library that has fewer than 50 of those is asked with held-out items of its own.

    [dim]quartet tune --library my-library --recall 0.995[/]

    With --prompts it sets how a two-tower model is asked: templates by level, in which {} stands for the phrase (at the
    global level for the sentence). The vectors of several are averaged. Clips need not be indexed again.

    [dim]quartet tune --library my-library --prompts prompts.json[/]

    A file with {"entity": ["a photo of {}", "a close-up of {}"]} leaves the other levels as they are. Weights are
    set by `quartet evaluate --fit-weights --save`.
    """
    settings = settings_of(library=library, model=model, device=device)
    folder = library_of(settings)
    if prompts is not None or undo:
        if prompts is not None and undo:
            raise typer.BadParameter("It goes back from a change; give --prompts by itself.", param_hint="--undo")
        _set_prompts(folder, prompts) if prompts is not None else _undo(folder)
        return

    from indexer.search.approximate.inverted_lists import tuning_of
    from indexer.search.approximate.list_training import ListSettings
    from indexer.store.generation import KINDS
    from indexer.store.library import Library
    from indexer.store.publishing import retrain
    from service.encoders.model_choice import open_encoder

    out = console()
    encoder = None
    with Library.open(folder) as opened:
        if max(opened.current().manifest.counts.values()) >= approximate_from:
            with out.status("Loading the model"):
                encoder = open_encoder(settings)
    with out.status("Training"):
        generation = retrain(
            folder, ListSettings(approximate_from, recall), None if encoder is None else lambda: encoder
        )
    for kind in KINDS:
        tuning = tuning_of(generation.gallery(kind))
        out.print(f"{kind}: {'exact, by scanning' if tuning is None else tuning.describe()}", highlight=False)


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
