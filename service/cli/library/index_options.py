"""Options of the commands that index: which files, how many at a time, and how a file becomes clips."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from indexer.media.segmentation import Segmentation

PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="PATHS", help="Video files, and folders to search for videos.")
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Number of files decoded at the same time.")]
BaseOption = Annotated[
    Path | None,
    typer.Option(
        "--base",
        help="Folder that contains the paths; names of videos start below it. Default: each folder itself, "
        "and the folder of each file.",
        show_default=False,
    ),
]
KeepOption = Annotated[
    bool,
    typer.Option("--keep-missing", help="Keep videos whose files are missing. Default: remove them from the library."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="ADDRESS",
        help="Where the vectors of a new library are: milvus://HOST:PORT/NAME. Default: QUARTET_STORE, else its "
        "folder.",
        show_default=False,
    ),
]


class Segment(StrEnum):
    """The ways to divide a file (`indexer.media.segmentation`, which is not imported for the sake of the help)."""

    WHOLE = "whole"
    WINDOW = "window"
    SHOT = "shot"


SegmentOption = Annotated[
    Segment | None,
    typer.Option(
        help="How to divide a file into clips: whole, windows of equal length, or shots. Default: as the "
        "folder was indexed before, else whole.",
        show_default=False,
    ),
]
WindowOption = Annotated[
    float | None, typer.Option("--window", help="Length of a window, in seconds. Default: 10.", show_default=False)
]
OverlapOption = Annotated[
    float | None,
    typer.Option(
        "--overlap", help="Overlap of a window with the previous one, in seconds. Default: 2.", show_default=False
    ),
]
CutOption = Annotated[
    float | None,
    typer.Option(
        "--cut",
        help="How much two frames must differ for a cut, from 0 to 255. A lower value gives more shots. Default: 27.",
        show_default=False,
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Decode and encode on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, or local for a cluster "
        "on this machine. --workers then applies to each worker of the cluster.",
        show_default=False,
    ),
]
RayGpusOption = Annotated[
    float,
    typer.Option(
        "--ray-gpus",
        min=0.01,
        max=1,
        metavar="SHARE",
        help="With --ray, the part of a GPU that each worker has: 0.5 puts two workers on each GPU.",
    ),
]
PublishOption = Annotated[
    float | None,
    typer.Option(
        "--publish-every",
        min=0,
        metavar="MINUTES",
        help="Minutes between publications of finished clips in a long run. 0: only at its end. Default: "
        "QUARTET_PUBLISH_EVERY, else 10.",
        show_default=False,
    ),
]
TextsOption = Annotated[
    bool,
    typer.Option("--texts/--no-texts", help="Read subtitles next to the videos (.srt, .vtt, .ass) and inside them."),
]
OcrOption = Annotated[
    bool,
    typer.Option("--ocr", help="Also read text on screen (OCR) from the sampled frames. Slow. Needs the extra ocr."),
]
SpeechOption = Annotated[
    str | None,
    typer.Option(
        "--speech",
        metavar="MODEL",
        help="Also transcribe what is said, with this model of `quartet prepare`. Slow. Needs the extra speech.",
        show_default=False,
    ),
]
FramesOption = Annotated[
    bool | None,
    typer.Option(
        "--frame-vectors/--no-frame-vectors",
        help="Also store the vectors of single frames, for searches with --rerank: 12 KB a clip with ViT-B/32. "
        "Needs a two-tower model. A library without them encodes its clips again. Default: as the library has it.",
        show_default=False,
    ),
]
LinesOption = Annotated[bool, typer.Option("--json", help="Print progress and report as JSON, one object per line.")]


def segmentation_of(
    segment: Segment | None, window: float | None, overlap: float | None, cut: float | None
) -> Segmentation | None:
    """The segmentation that the options ask for, None if none does.

    Raises InputError for numbers that make no sense, and a usage error for those of another segmentation.
    """
    from indexer.media.segmentation import Segmentation

    given = {"window": window, "overlap": overlap, "cut": cut}
    owner = {"window": Segment.WINDOW, "overlap": Segment.WINDOW, "cut": Segment.SHOT}
    for name, number in given.items():
        if number is not None and segment is not owner[name]:
            raise typer.BadParameter(f"This option needs --segment {owner[name].value}.", param_hint=f"--{name}")
    if segment is None:
        return None
    numbers = {"window": window, "overlap": overlap, "threshold": cut}
    return Segmentation(segment.value, **{name: number for name, number in numbers.items() if number is not None})
