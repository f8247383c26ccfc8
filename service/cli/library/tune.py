"""`quartet tune`: train the inverted lists of a large library."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import DeviceOption, LibraryOption, ModelOption, console, library_of, settings_of


def tune(
    library: LibraryOption = None,
    recall: Annotated[float, typer.Option(min=0.5, max=1.0, help="Recall@10 to reach.")] = 0.99,
    approximate_from: Annotated[
        int, typer.Option(min=1000, help="Items from which clips or captions are searched approximately.")
    ] = 200_000,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Train how a large library is searched, and choose the cheapest way that reaches a recall.

    A library below the size is searched exactly, by scanning, and needs none of this. One that grows past it is
    trained when it does; use this for another target, or when `quartet status` says that retraining is due.

    The way is chosen with questions as people ask them: captions of the library for its clips, and clips for its
    captions. A library that has fewer than 50 of those is asked with held-out items of its own.

    [dim]quartet tune --library my-library --recall 0.995[/]
    """
    settings = settings_of(library=library, model=model, device=device)
    folder = library_of(settings)

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
