"""`quartet searches`: searches that are kept under a name, and what is new for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from service.cli.filter_options import (
    AfterOption,
    BeforeOption,
    HasTextOption,
    LanguageOption,
    LongestOption,
    MinimumOption,
    PathOption,
    ShortestOption,
    TagOption,
    WordsOption,
    filter_of,
)
from service.cli.help_format import ReadableCommand, ReadableGroup
from service.cli.options import (
    CountOption,
    DeviceOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    WeightsOption,
    console,
    existing_library,
    settings_of,
)
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.store.library import Library
    from quartet import Client
    from quartet.schemas.search_answers import ClipAnswer
    from service.settings import Settings

app = typer.Typer(cls=ReadableGroup, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)]


@app.callback()
def searches() -> None:
    """Saved searches of a library, and their new hits."""


@app.command(cls=ReadableCommand)
def save(
    name: NameArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A sentence.", show_default=False)],
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    minimum: MinimumOption = None,
    tag: TagOption = None,
    path: PathOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    shortest: ShortestOption = None,
    longest: LongestOption = None,
    words: WordsOption = None,
    language: LanguageOption = None,
    has_text: HasTextOption = None,
    server: ServerOption = None,
) -> None:
    """Save a search under a name. An existing search of that name is replaced.

    Only clips added later count as new. Set --min-score to report only clips that fit.

    [dim]quartet searches save dogs "a dog runs on a beach" --min-score 0.5 --library my-library[/]
    """
    from pydantic import ValidationError

    from indexer.catalog.saved_searches import save_search
    from quartet.schemas.search import ClipSearch

    wanted = filter_of(tag, path, after, before, shortest, longest, words, language, has_text)
    given = {"query": query, "k": k, "weights": weights or {}, "min_score": minimum, "filter": wanted}
    try:
        request = ClipSearch.model_validate({key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    if server is not None:
        with asked(server, library) as client:
            kept = client.save_search(name, request).name
    else:
        from service.search.requests import search_options

        search_options(request)
        with _open(library) as opened:
            kept = save_search(opened.catalog.engine, name, request.model_dump_json(exclude_defaults=True)).name
    console().print(f"Saved as {escape(kept)}.", highlight=False)


@app.command("list", cls=ReadableCommand)
def list_(library: LibraryOption = None, server: ServerOption = None) -> None:
    """List the saved searches."""
    found: Sequence[tuple[str, str]]
    if server is not None:
        with asked(server, library) as client:
            found = [
                (one.name, one.request.model_dump_json(exclude_defaults=True)) for one in client.saved_searches().items
            ]
    else:
        from indexer.catalog.saved_searches import saved_search_list

        with _open(library) as opened:
            found = [(saved.name, saved.request) for saved in saved_search_list(opened.catalog.engine)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "search"):
        table.add_column(column, overflow="fold")
    for name, request in found:
        table.add_row(escape(name), escape(request))
    if found:
        console().print(table)
    else:
        typer.echo('There are no saved searches. Save one with: quartet searches save NAME "A SENTENCE"')


@app.command(cls=ReadableCommand)
def remove(name: NameArgument, library: LibraryOption = None, server: ServerOption = None) -> None:
    """Delete a saved search."""
    if server is not None:
        with asked(server, library) as client:
            client.forget_search(name)
        return
    from indexer.catalog.saved_searches import remove_search

    with _open(library) as opened:
        remove_search(opened.catalog.engine, name)


@app.command(cls=ReadableCommand)
def new(
    name: NameArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Do not mark these clips as seen.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Show the hits that are new since the search was saved or last shown.

    [dim]quartet searches new dogs --library my-library[/]
    """
    if server is not None:
        with asked(server, library, model=model, device=device) as client:
            _show(_new_there(client, name), as_json)
            if not keep:
                client.mark_seen(name)
        return
    _new_here(settings_of(library=library, model=model, device=device), name, keep, as_json)


def _new_here(settings: Settings, name: str, keep: bool, as_json: bool) -> None:
    from indexer.catalog.saved_searches import mark_seen, newest_clip, saved_search
    from service.cli.search import open_engine
    from service.search.new_hits import new_hits

    with _open(settings.library) as opened:
        saved_search(opened.catalog.engine, name)  # fails before a model is loaded
    engine = open_engine(settings)
    try:
        catalog = engine.library.catalog.engine
        newest = newest_clip(catalog)
        _show(asyncio.run(new_hits(engine, saved_search(catalog, name))), as_json)
        if not keep:
            mark_seen(catalog, name, newest)
    finally:
        engine.close()


def _new_there(client: Client, name: str) -> ClipAnswer:
    """The new hits of a saved search of a service. Raises NotFoundError."""
    from quartet.errors import NotFoundError
    from quartet.schemas.search import Filter

    saved = next((one for one in client.saved_searches().items if one.name == name), None)
    if saved is None:
        raise NotFoundError(f"The service has no saved search {name!r}.")
    wanted = {field: getattr(saved.request, field) for field in saved.request.model_fields_set}
    known = saved.request.filter or Filter()
    return client.search(**wanted | {"filter": known.model_copy(update={"after_clip": saved.seen})})


def _show(answer: ClipAnswer, as_json: bool) -> None:
    from service.cli.tables import clips_table, provenance

    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.hits:
        console().print(clips_table(answer), provenance(answer), sep="\n")
    else:
        typer.echo("Nothing new.")


def _open(library: Path | None) -> Library:
    from indexer.store.library import Library

    return Library.open(existing_library(settings_of(library=library)))
