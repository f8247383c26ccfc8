"""`quartet index`: put videos into a library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from service.cli import remote
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    PrecisionOption,
    RootOption,
    console,
    counted,
    let_threads_sleep,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.other_files import other_files_line, split_failures
from service.cli.progress import json_lines, json_report, progress_bar
from service.cli.remote import ServerOption, asked
from service.cli.tables import failures_table

if TYPE_CHECKING:
    from indexer.ingest.index_run import IndexReport
    from indexer.ingest.model_change import ModelChange
    from indexer.media.segmentation import Segmentation
    from indexer.pipeline.progress import Progress
    from indexer.texts.text_makers import TextMaker
    from service.settings import Settings

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


_MOST_REFUSED = 40
"""Refused files that are listed one by one after a run."""


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
    typer.Option("--texts/--no-texts", help="Read subtitles next to the videos (.srt, .vtt) and inside them."),
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
LinesOption = Annotated[bool, typer.Option("--json", help="Print progress and report as JSON, one object per line.")]


def index(
    paths: PathsArgument,
    library: LibraryOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    root: RootOption = None,
    base: BaseOption = None,
    keep_missing: KeepOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 if a video was refused.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another writer of the library to finish.")] = False,
    workers: WorkersOption = 1,
    ray: RayOption = None,
    segment: SegmentOption = None,
    window: WindowOption = None,
    overlap: OverlapOption = None,
    cut: CutOption = None,
    publish_every: PublishOption = None,
    texts: TextsOption = True,
    ocr: OcrOption = False,
    speech: SpeechOption = None,
    server: ServerOption = None,
    as_json: LinesOption = False,
) -> None:
    """Index videos into a library, at four levels.

    The first run creates the library with --model; later commands use the same model. Run it again after a change:
    only new and changed files are encoded, renamed files are recognised, and deleted files leave the index. You can
    stop it with Ctrl-C at any time; the next run continues there.

    A new --model changes the model of the library. The command encodes every clip with the new model while the
    previous one answers; then the new model answers, in a running service too. To go back, give the previous --model:
    only clips added since are encoded.

    A file that cannot be used is listed with its reason; the others are indexed. With --segment, files that were
    divided differently are divided and encoded again; without it, every file keeps its clips.

    [dim]quartet index ~/Videos --library my-library --model clip-ViT-B-32[/]

    [dim]quartet index ~/Videos --library my-library[/]

    [dim]quartet index ~/Lectures --library my-library --segment window --window 20 --overlap 5[/]

    [dim]quartet index a.mp4 b.mkv --library my-library --model runs/news --strict[/]

    [dim]quartet index /shared/videos --library /shared/library --ray 10.0.0.1:6379 --workers 4[/]

    With --server the videos are uploaded to a running service, which keeps and indexes them; its key is read from
    QUARTET_API_KEY or QUARTET_API_KEY_FILE.

    [dim]quartet index a.mp4 ~/Videos --server http://localhost:8000[/]
    """
    if server is not None:
        local = {
            "model": model, "device": device, "precision": precision, "root": root,
            "base": base, "ray": ray,
            "keep_missing": keep_missing, "segment": segment, "window": window, "overlap": overlap, "cut": cut,
            "publish_every": publish_every, "ocr": ocr, "speech": speech, "no_texts": not texts, "json": as_json,
        }  # fmt: skip
        with asked(server, library, **local) as client:
            if not remote.index(client, paths) and strict:
                raise typer.Exit(1)
        return
    settings = settings_of(
        library=library,
        model=model,
        device=device,
        precision=precision,
        roots=roots_of(root),
        publish_every=publish_every,
    )
    library_of(settings)
    report = run_index(
        settings,
        paths,
        workers,
        ray=ray,
        segmentation=segmentation_of(segment, window, overlap, cut),
        keep_missing=keep_missing,
        wait=wait,
        as_json=as_json,
        base=base,
        texts=texts,
        ocr=ocr,
        speech=speech,
        to_model=model is not None,
    )
    if report.interrupted or (strict and split_failures(report.refused)[0]):
        raise typer.Exit(1)


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


def run_index(
    settings: Settings,
    paths: Sequence[Path],
    workers: int = 1,
    *,
    ray: str | None = None,
    segmentation: Segmentation | None = None,
    keep_missing: bool = False,
    wait: bool = False,
    as_json: bool = False,
    base: Path | None = None,
    texts: bool = True,
    ocr: bool = False,
    speech: str | None = None,
    to_model: bool = False,
) -> IndexReport:
    """Index `paths` into the library of `settings`, showing the progress, and print what was done.

    to_model  change a library of another model to that of `settings`
    """
    let_threads_sleep()
    from indexer.ingest.file_walk import resolve_inputs
    from indexer.ingest.index_run import index_videos
    from indexer.texts.text_makers import ScreenText
    from service.cli.pipeline_choice import open_pipeline
    from service.encoders.model_choice import chosen_precision, remember_folder, remember_precision

    folder = library_of(settings)
    resolve_inputs(paths)  # a wrong path fails before the model is loaded
    makers: list[TextMaker] = [] if speech is None else [_spoken_text(settings, speech)]
    # Before the run, which makes the library.
    settings = settings.model_copy(update={"precision": chosen_precision(settings)})
    out = console()
    if as_json:
        encoder, pipeline = open_pipeline(settings, workers, ray)
    else:
        with out.status("Loading the model"):
            encoder, pipeline = open_pipeline(settings, workers, ray)
    if ocr:
        makers.append(ScreenText(encoder.spec.frames_per_clip))
    if to_model:
        # Before the model changes: a service that switches with it has to find it.
        remember_folder(settings, encoder.spec.fingerprint)
    with ExitStack() as stack:
        show = stack.enter_context(json_lines() if as_json else progress_bar())
        if as_json:
            # Ray prints what befalls its workers, and that is not JSON.
            stack.enter_context(redirect_stdout(sys.stderr))
        stack.enter_context(closing(pipeline))
        noted: list[str] = []

        def tell(progress: Progress) -> None:
            """Note what a new library is made with: after a kill the next run goes on with the same."""
            if not noted:
                remember_folder(settings, encoder.spec.fingerprint)
                remember_precision(settings)
                noted.append(encoder.spec.fingerprint)
            show(progress)

        report = index_videos(
            folder,
            paths,
            encoder,
            on_progress=tell,
            pipeline=pipeline,
            segmentation=segmentation,
            keep_missing=keep_missing,
            roots=settings.roots,
            base=base,
            wait=wait,
            catalog=settings.catalog,
            publish_every=settings.publish_every,
            texts=texts or bool(makers),
            makers=makers,
            to_model=to_model,
        )
    if as_json:
        typer.echo(json_report(report))
    else:
        print_report(report, folder)
    return report


def _spoken_text(settings: Settings, name: str) -> TextMaker:
    """The reader of speech by the name or the folder of its model. Raises InputError and ModelError."""
    from indexer.texts.spoken_text import SpokenText
    from model.registry import resolve_device
    from model.speech import Whisper
    from model.two_tower.prepared_models import find_prepared
    from quartet.errors import ModelError

    folder = find_prepared(settings.models, name) or Path(name)
    if not folder.is_dir():
        raise ModelError(f"The model of speech {name!r} is not on this machine. Run: quartet prepare {name}")
    return SpokenText(Whisper(folder, resolve_device(settings.device)))


def print_report(report: IndexReport, folder: Path) -> None:
    """What a run did, for people."""
    out = console()
    if report.change is not None:
        for line in change_lines(report.change):
            out.print(line, highlight=False)
        if not report.change.done:
            return
    if report.interrupted:
        out.print("[yellow]Stopped.[/] The library is valid. Run the same command again to continue.")
    refused, other = split_failures(report.refused)
    recut = f" ({report.recut} of them divided again)" if report.recut else ""
    kept = f", {report.missing} missing and kept" if report.missing else ""
    out.print(
        f"[bold]{report.indexed}[/] indexed{recut}, {report.unchanged} unchanged, {report.moved} renamed, "
        f"{report.removed} removed{kept}, {len(refused)} refused, in {report.seconds:.1f} s"
    )
    if report.texts.lines:
        lines, files = counted(report.texts.lines, "line"), counted(report.texts.files, "file")
        out.print(f"{lines} of subtitles read from {files}.", highlight=False)
    if refused:
        out.print(failures_table(refused, _MOST_REFUSED))
    if other:
        out.print(f"[dim]{escape(other_files_line(other))}[/]", highlight=False)
    if not report.progress.total and not report.removed and not report.interrupted:
        out.print("[yellow]No files were found.[/] Quartet skips hidden files and linked folders.")
    clips = counted(report.clips_total, "clip")
    out.print(f"{escape(str(folder))} now has {clips} (generation {report.generation}).", highlight=False)


def change_lines(change: ModelChange) -> list[str]:
    """What has become of a change of the model, for people."""
    before, after = escape(change.before.name), escape(change.after.name)
    made = f"{counted(change.clips, 'clip')} and {counted(change.captions, 'text')} encoded by {after}"
    if not change.done:
        left = counted(change.left, "clip")
        return [
            f"[yellow]Stopped.[/] {made}, {left} left. {before} still answers. Run the same command again to continue."
        ]
    lines = [f"{made}, which now answers instead of {before}. To go back, index with the previous --model."]
    return [*lines, *(f"[yellow]It was set for {before}.[/] {escape(line)}" for line in change.fit_again)]
