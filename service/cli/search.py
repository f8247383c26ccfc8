"""`quartet search` and `quartet describe`: one question, asked without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.common import (
    CountOption,
    DeviceOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    WeightsOption,
    console,
    library_of,
    settings_of,
)
from service.cli.tables import captions_table, clips_table, provenance

if TYPE_CHECKING:
    from service.engine import Engine


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A sentence.", show_default=False)],
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the clips that a sentence describes.

    Every hit shows the score of each level; a dash means that the query has nothing to say at that level.

    [dim]quartet search "a dog runs after a ball" --library my-library[/]

    [dim]quartet search "two people dance" --library my-library -k 3 --weights action=2,global=0.5[/]
    """
    from service.schemas.search import checked_query

    try:
        text = checked_query(query)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="QUERY") from None
    from service.wanted import Wanted

    engine = _open(library, model, device)
    try:
        answer = asyncio.run(engine.search_clips([text], Wanted(k, weights=weights or {})))[0]
    finally:
        engine.close()
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        console().print(clips_table(answer), provenance(answer), sep="\n")


def describe(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)],
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the captions of a library that describe a video.

    [dim]quartet describe holiday.mp4 --library my-library -k 5[/]
    """
    from service.wanted import Wanted

    engine = _open(library, model, device)
    try:
        answer = asyncio.run(engine.describe_file(video, Wanted(k, weights=weights or {})))
    finally:
        engine.close()
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.hits:
        console().print(captions_table(answer), provenance(answer), sep="\n")
    else:
        typer.echo("This library has no captions. Add some with: quartet captions add FILE --library DIR")


def _open(library: Path | None, model: str | None, device: str | None) -> Engine:
    settings = settings_of(library=library, model=model, device=device)
    library_of(settings)

    from service.engine import Engine

    return Engine.open(settings)
