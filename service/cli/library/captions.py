"""`quartet captions`: the sentences that a library can answer with."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from service.cli import remote
from service.cli.help_format import ReadableCommand, ReadableGroup
from service.cli.library.manage import EraseOption, when_erased
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    LineOption,
    ModelOption,
    console,
    counted,
    existing_library,
    library_of,
    settings_of,
)
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.texts.captions import CaptionReport
    from service.settings import Settings

app = typer.Typer(cls=ReadableGroup, no_args_is_help=True)


@app.callback()
def captions() -> None:
    """The captions of a library: what video-to-text searches."""


@app.command(cls=ReadableCommand)
def add(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .txt, .jsonl, .csv, .srt, .vtt, .ass or .ssa file.", show_default=False),
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    video: Annotated[
        str | None,
        typer.Option(
            help="The video that the subtitles belong to, or the captions that name no video.", show_default=False
        ),
    ] = None,
    server: ServerOption = None,
    as_json: LineOption = False,
) -> None:
    """Add captions to a library.

    A .txt file has a caption on each line. A .jsonl file has an object on each line with "caption" (or "text", or a
    list of "captions") and, if it describes a video of the library, "video" (its file name), perhaps with "start" and
    "end". A .csv file names these columns in its first line. Subtitles (.srt, .vtt, .ass, .ssa) belong to the video of
    the same name; each line keeps its time. A caption from several sources is stored once, with all its sources.

    [dim]quartet captions add captions.jsonl --library my-library[/]

    [dim]quartet captions add talk.en.srt --video talk.mp4 --library my-library[/]
    """
    if server is not None:
        with asked(server, library=library, model=model, device=device, json=as_json) as client:
            remote.add_captions(client, file, video)
        return
    settings = settings_of(library=library, model=model, device=device)
    library_of(settings)
    run_add(settings, file, video, as_json)


@app.command(cls=ReadableCommand)
def remove(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXTS", help="Captions to remove, word for word.", show_default=False)
    ] = None,
    library: LibraryOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Remove all captions that came only from this file. Repeat it for more files.",
            show_default=False,
        ),
    ] = None,
    erase_now: EraseOption = False,
    server: ServerOption = None,
) -> None:
    """Remove captions from a library.

    Searches stop returning them at once. Their texts and vectors are deleted from disk with the next generation,
    which the next change writes, or at once with --erase-now.

    [dim]quartet captions remove "a dog runs" --library my-library[/]

    [dim]quartet captions remove --from talk.en.srt --library my-library[/]
    """
    if not texts and not source:
        raise typer.BadParameter("Name the captions, or their source file with --from.", param_hint="TEXTS")
    names = [Path(name).name for name in source or []]
    if server is not None:
        with asked(server, library=library, erase_now=erase_now) as client:
            remote.remove_captions(client, texts or [], names)
        return
    settings = settings_of(library=library)
    folder = existing_library(settings)

    from indexer.texts.captions import remove_captions

    report = remove_captions(folder, texts or [], names, erase_now)
    console().print(
        f"{counted(report.removed, 'caption')} removed. {escape(str(folder))} now has "
        f"{counted(report.total, 'caption')} (generation {report.generation}). {when_erased(erase_now)}",
        highlight=False,
    )


def run_add(settings: Settings, file: Path, video: str | None = None, as_json: bool = False) -> CaptionReport:
    """Add the captions of `file` to the library of `settings` and print how many there are."""
    from indexer.texts.caption_files import read_captions
    from indexer.texts.captions import add_captions
    from service.encoders.model_choice import open_encoder

    folder = existing_library(settings)
    deque(read_captions(file), maxlen=0)  # a faulty file fails before the model is loaded
    out = Console(stderr=True) if as_json else console()
    with out.status("Loading the model"):
        encoder = open_encoder(settings)
    with out.status("Encoding captions"):
        report = add_captions(folder, file, encoder, video)
    if as_json:
        typer.echo(json.dumps({"event": "captions", **asdict(report)}))
        return report
    out.print(
        f"[bold]{report.added}[/] added, {report.duplicates} already present. {escape(str(folder))} now has "
        f"{counted(report.total, 'caption')} (generation {report.generation}).",
        highlight=False,
    )
    if report.unmatched:
        out.print(f"The library does not have the video of {counted(report.unmatched, 'caption')}.", highlight=False)
    for text in report.refused:
        out.print(f"[yellow]Refused:[/] the model returned a vector with NaN or infinity for {escape(repr(text))}.")
    return report
