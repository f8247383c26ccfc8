"""`quartet captions`: the sentences that a library can answer with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from service.cli.common import DeviceOption, LibraryOption, ModelOption, console, counted, library_of, settings_of

if TYPE_CHECKING:
    from indexer.captions import CaptionReport
    from service.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The captions of a library: what video-to-text searches.")


@app.callback()
def captions() -> None:
    """The captions of a library: what video-to-text searches."""


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .txt, .jsonl, .csv, .srt or .vtt file.", show_default=False)
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    video: Annotated[
        str | None,
        typer.Option(help="The video that subtitles, or captions that name none, are about.", show_default=False),
    ] = None,
) -> None:
    """Add captions to a library.

    A .txt file has a caption on each line. A .jsonl file has an object on each line with "caption" (or
    "text", or a list of "captions") and, if it describes a video of the library, "video" (its file name).
    A .csv file has these as columns. Subtitles (.srt, .vtt) belong to the video of the same name, text by text
    at its time. Captions that the library has are kept once, with all their sources.

    [dim]quartet captions add captions.jsonl --library my-library[/]

    [dim]quartet captions add talk.en.srt --video talk.mp4 --library my-library[/]
    """
    settings = settings_of(library=library, model=model, device=device)
    library_of(settings)
    run_add(settings, file, video)


def run_add(settings: Settings, file: Path, video: str | None = None) -> CaptionReport:
    """Add the captions of `file` to the library of `settings` and print how many there are."""
    from indexer.captions import add_captions
    from service.models import open_encoder

    folder = library_of(settings)
    out = console()
    with out.status("Loading the model"):
        encoder = open_encoder(settings)
    with out.status("Encoding captions"):
        report = add_captions(folder, file, encoder, video)
    out.print(
        f"[bold]{report.added}[/] added, {report.duplicates} known before. "
        f"{escape(str(folder))} now has {report.total} captions (generation {report.generation}).",
        highlight=False,
    )
    if report.unmatched:
        out.print(f"The library does not have the video of {counted(report.unmatched, 'caption')}.", highlight=False)
    return report
