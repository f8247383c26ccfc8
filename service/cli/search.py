"""`quartet search` and `quartet describe`: one question, to a library here or to a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.cli.filter_options import (
    AfterOption,
    BeforeOption,
    HasTextOption,
    LanguageOption,
    LongestOption,
    PathOption,
    ShortestOption,
    Sort,
    SortOption,
    TagOption,
    WordsOption,
    filter_of,
)
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
from service.cli.remote import ServerOption, asked
from service.cli.tables import captions_table, clips_table, provenance

if TYPE_CHECKING:
    from quartet import Client
    from quartet.schemas.search import ClipSearch
    from quartet.schemas.search_answers import ClipAnswer
    from service.search.engine import Engine
    from service.settings import Settings

DEFAULT_WITHIN, MAX_WITHIN = 60.0, 86_400.0
"""Those of `quartet.schemas.question`, which the help of a command need not load."""

_UNWANTED = 0.25
"""What counts against a clip that shows what is not wanted, where what is wanted counts 1: docs/search.md."""


@dataclass(frozen=True)
class File:
    """A picture, a video, or a part of one in seconds."""

    path: Path
    start: float = 0.0
    end: float | None = None


def parse_stretch(text: str) -> File:
    """`film.mp4@12-15.5` as a file and a part of it. Raises a usage error for a part that is empty."""
    name, _, part = text.rpartition("@")
    first, dash, last = part.partition("-")
    try:
        start, end = float(first), float(last)
    except ValueError:
        return File(Path(text))
    if not name or not dash:
        return File(Path(text))
    if not 0 <= start < end:
        raise typer.BadParameter(f"{text!r}: the start ({start:g} s) must be before the end ({end:g} s).")
    return File(Path(name), start, end)


def search(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="A sentence.", show_default=False)] = None,
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="FILE", help="Find clips that look like this picture.", show_default=False),
    ] = None,
    video: Annotated[
        list[Any] | None,
        typer.Option(
            "--video",
            parser=parse_stretch,
            metavar="FILE[@START-END]",
            help="Find clips that look like this video, or like its seconds START to END.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        list[int] | None,
        typer.Option(
            "--like", metavar="CLIP", help="Find clips that look like this clip of the library.", show_default=False
        ),
    ] = None,
    unwanted: Annotated[
        list[str] | None,
        typer.Option(
            "--not", metavar="SENTENCE", help="What the clip must not show. Ranks such clips lower.", show_default=False
        ),
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option("--then", metavar="SENTENCE", help="What comes next in the same video.", show_default=False),
    ] = None,
    within: Annotated[
        float,
        typer.Option(min=0, max=MAX_WITHIN, metavar="SECONDS", help="Maximum seconds between one moment and the next."),
    ] = DEFAULT_WITHIN,
    group: Annotated[
        str | None,
        typer.Option(metavar="video", help="List each video once, ranked by its best moment.", show_default=False),
    ] = None,
    diverse: Annotated[bool, typer.Option("--diverse", help="Merge near-duplicates into one hit.")] = False,
    rerank: Annotated[
        bool,
        typer.Option(
            "--rerank",
            help="Score the best 200 clips again, by the vectors of their frames (`quartet index --frame-vectors`).",
        ),
    ] = False,
    tag: TagOption = None,
    path: PathOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    shortest: ShortestOption = None,
    longest: LongestOption = None,
    words: WordsOption = None,
    language: LanguageOption = None,
    has_text: HasTextOption = None,
    sort: SortOption = Sort.SCORE,
    model: ModelOption = None,
    device: DeviceOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the clips that a sentence describes, or that look like a picture, a video or another clip.

    Every hit shows the score of each level. A dash means that the level does not count for this query.

    [dim]quartet search "a dog runs after a ball" --library my-library[/]

    [dim]quartet search "two people dance" --library my-library -k 3 --weights action=2,global=0.5[/]

    [dim]quartet search "two people dance" --library my-library --tag wedding[/]

    A question can have several parts. Repeat --image, --video, --like, --not and --then as needed.

    [dim]quartet search "at night" --like 17 --not "a dog" --library my-library[/]

    [dim]quartet search --image shot.png --library my-library --diverse[/]

    [dim]quartet search "a ball falls" --then "a dog eats it" --within 20 --library my-library[/]

    With --server, a running service answers; its model is already loaded. Set its API key in QUARTET_API_KEY or
    QUARTET_API_KEY_FILE.

    [dim]quartet search "two people dance" --server http://localhost:8000[/]
    """
    files = [File(path) for path in image or ()] + list(video or ())
    for file in files:
        if not file.path.is_file():
            raise typer.BadParameter(f"{file.path} does not exist or is not a file.", param_hint="--image, --video")
    question = _question(query, like or (), unwanted or (), files, then or (), within)
    question |= {"group": group, "diverse": diverse, "k": k, "weights": weights or {}}
    question["filter"] = filter_of(tag, path, after, before, shortest, longest, words, language, has_text)
    question |= {"sort": sort.value, "rerank": rerank}
    body = _checked({name: value for name, value in question.items() if value})
    if server is None:
        answer = _search_here(body, files, library, model, device)
    else:
        with asked(server, library=library, model=model, device=device) as client:
            answer = _search_there(body, files, client)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.hits:
        console().print(clips_table(answer), provenance(answer), sep="\n")
    elif question["filter"]:
        typer.echo("No clip matches these filters.")
    elif then:
        typer.echo("No video shows these moments in this order.")
    else:
        typer.echo("The library has no clips.")


def describe(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)],
    library: LibraryOption = None,
    k: CountOption = 10,
    weights: WeightsOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the captions of a library that describe a video.

    [dim]quartet describe holiday.mp4 --library my-library -k 5[/]
    """
    from quartet.errors import InputError
    from service.search.requests import SearchOptions

    if not video.is_file():
        raise InputError(f"{video} does not exist or is not a file. Name a video file.")
    if server is not None:
        with asked(server, library=library, model=model, device=device) as client:
            answer = client.describe(video, k, weights)
    else:
        engine = open_engine(settings_of(library=library, model=model, device=device))
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


def _question(
    query: str | None,
    like: Sequence[int],
    unwanted: Sequence[str],
    files: Sequence[File],
    then: Sequence[str],
    within: float,
) -> dict[str, Any]:
    """The question as the API takes it; files are uploads by their numbers."""
    parts: list[dict[str, Any]] = [{"clip_id": clip} for clip in like]
    parts += [{"upload": str(number)} for number in range(len(files))]
    parts += [{"text": text, "weight": -_UNWANTED} for text in unwanted]
    moments = [{"parts": [{"text": text}], "within": within} for text in then]
    return {"query": query, "parts": parts, "then": moments}


def _checked(question: dict[str, Any]) -> ClipSearch:
    from pydantic import ValidationError

    from quartet.schemas.search import ClipSearch

    try:
        return ClipSearch.model_validate(question)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(reason) from None


def _search_here(
    body: ClipSearch, files: Sequence[File], library: Path | None, model: str | None, device: str | None
) -> ClipAnswer:
    from indexer.media.decode_pool import Part
    from service.search.requests import question, search_options

    async def ask(engine: Engine) -> ClipAnswer:
        uploads = {
            str(number): (await engine.encode_upload(file.path, Part(file.start, file.end)))[0]
            for number, file in enumerate(files)
        }
        return (await engine.search_clips([question(body, uploads)], search_options(body)))[0]

    engine = open_engine(settings_of(library=library, model=model, device=device))
    try:
        return asyncio.run(ask(engine))
    finally:
        engine.close()


def _search_there(body: ClipSearch, files: Sequence[File], client: Client) -> ClipAnswer:
    ids = {str(i): client.upload(file.path, file.start, file.end).upload for i, file in enumerate(files)}
    parts = [part.model_copy(update={"upload": ids.get(part.upload or "")}) for part in body.parts]
    given = {name: getattr(body, name) for name in ("then", "group", "diverse", "weights", "filter", "sort", "rerank")}
    return client.search(body.query, body.k, parts=parts, **given)


def open_engine(settings: Settings) -> Engine:
    """The library and the model of `settings`, for questions."""
    library_of(settings)
    # Not to the standard output, which may be read as JSON.
    with Console(stderr=True).status("Loading the model"):
        from service.search.engine import Engine

        return Engine.open(settings)
