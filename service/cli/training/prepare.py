"""`quartet prepare`: fetch a model. No other command downloads anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from service.cli.options import console, settings_of


def prepare(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A short name, or a repository on the model hub.", show_default=False),
    ],
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of the repository.", show_default="the newest commit"),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model whose pictures MODEL, which reads texts alone, was trained for.",
            show_default=False,
        ),
    ] = None,
    sentences: Annotated[
        bool,
        typer.Option("--sentences", help="Fetch a model of sentences, which reads captions in training."),
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(
            help="Folder for models. Default: QUARTET_MODELS, else ~/.cache/quartet/models.", show_default=False
        ),
    ] = None,
) -> None:
    """Fetch a model for zero-shot search: any two-tower model of the families CLIP and SigLIP.

    The command records the commit and the SHA-256 of every file, and tests the model once. After that, nothing needs
    the network. A stopped download resumes.

    [dim]quartet prepare clip-ViT-B-32[/]

    [dim]quartet prepare google/siglip-base-patch16-224[/]

    A multilingual model of texts that was trained for the pictures of another model is joined to these:

    [dim]quartet prepare sentence-transformers/clip-ViT-B-32-multilingual-v1 --pictures clip-ViT-B-32[/]

    A model of sentence-transformers that reads the captions of `quartet train` and `quartet compare`:

    [dim]quartet prepare sentence-transformers/all-mpnet-base-v2 --sentences[/]
    """
    from model.two_tower.download import prepare_model
    from model.two_tower.prepared_models import prepared_folder

    settings = settings_of(models=models)
    record = prepare_model(
        model,
        settings.models,
        revision,
        pictures=pictures,
        sentences=sentences,
        tell=lambda sentence: typer.echo(sentence, err=True),
    )
    folder = prepared_folder(settings.models, model)
    size = decimal(sum((folder / name).stat().st_size for name in record.files))
    use = (
        "quartet train CAPTIONS --features FILE --sentence-model"
        if record.sentences
        else "quartet index VIDEOS --library LIBRARY --model"
    )
    console().print(
        f"[bold]{escape(record.name)}[/] is in {escape(str(folder))}: {len(record.files)} files, {size}. Use "
        f"it with:\n  {use} {escape(record.name)}",
        highlight=False,
        soft_wrap=True,
    )
