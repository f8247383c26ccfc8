"""`quartet search` and `quartet describe`: one question, to a library here or to a running service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli.options import (
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
    from quartet.schemas.search import ClipAnswer
    from service.search.engine import Engine

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="Ask a running service.", show_default=False)
]


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A sentence.", show_default=False)],
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Only videos with this tag. Repeat: with all of them.", show_default=False),
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the clips that a sentence describes.

    Every hit shows the score of each level; a dash means that the query has nothing to say at that level.

    [dim]quartet search "a dog runs after a ball" --library my-library[/]

    [dim]quartet search "two people dance" --library my-library -k 3 --weights action=2,global=0.5[/]

    [dim]quartet search "two people dance" --library my-library --tag wedding[/]

    With --server a running service is asked, which has its model loaded already; its key, if it has one, is read
    from QUARTET_API_KEY or QUARTET_API_KEY_FILE.

    [dim]quartet search "two people dance" --server http://localhost:8000[/]
    """
    from quartet.schemas.search import checked_query

    try:
        text = checked_query(query)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="QUERY") from None
    tags = tuple(tag or ())
    if server is None:
        answer = _search_here(text, k, weights or {}, tags, library, model, device)
    else:
        if library or model or device:
            raise typer.BadParameter("A service has its library and its model already.", param_hint="--server")
        answer = _search_there(text, k, weights or {}, tags, server)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.hits:
        console().print(clips_table(answer), provenance(answer), sep="\n")
    else:
        typer.echo("No clips were found: " + ("none has all of these tags." if tags else "the library has none."))


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
    from quartet.errors import InputError
    from service.search.requests import SearchOptions

    if not video.is_file():
        raise InputError(f"{video} is not a file that exists. Name a video file.")
    engine = _open(library, model, device)
    try:
        answer = asyncio.run(engine.describe_file(video, SearchOptions(k, weights=weights or {})))
    finally:
        engine.close()
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.hits:
        console().print(captions_table(answer), provenance(answer), sep="\n")
    else:
        typer.echo("This library has no captions. Add some with: quartet captions add FILE --library DIR")


def _search_here(
    text: str,
    k: int,
    weights: dict[str, float],
    tags: tuple[str, ...],
    library: Path | None,
    model: str | None,
    device: str | None,
) -> ClipAnswer:
    from indexer.search.filters import ClipFilter
    from service.search.requests import SearchOptions

    wanted = SearchOptions(k, weights=weights, filter=ClipFilter(tags=frozenset(tags)) if tags else None)
    engine = _open(library, model, device)
    try:
        return asyncio.run(engine.search_clips([text], wanted))[0]
    finally:
        engine.close()


def _search_there(text: str, k: int, weights: dict[str, float], tags: tuple[str, ...], server: str) -> ClipAnswer:
    from quartet.client import Client
    from quartet.schemas.search import Filter

    wanted = Filter(tags=list(tags)) if tags else None
    with Client(server, settings_of().key()) as client:
        return client.search(text, k, weights=weights, filter=wanted)


def _open(library: Path | None, model: str | None, device: str | None) -> Engine:
    settings = settings_of(library=library, model=model, device=device)
    library_of(settings)
    # Not to the standard output, which may be read as JSON.
    with Console(stderr=True).status("Loading the model"):
        from service.search.engine import Engine

        return Engine.open(settings)
