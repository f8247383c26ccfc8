"""`quartet index`: put videos into a library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import remote
from service.cli.library.index_options import (
    BaseOption,
    CutOption,
    FramesOption,
    KeepOption,
    LinesOption,
    OcrOption,
    OverlapOption,
    PathsArgument,
    PublishOption,
    RayGpusOption,
    RayOption,
    SegmentOption,
    SpeechOption,
    StoreOption,
    TextsOption,
    WindowOption,
    WorkersOption,
    segmentation_of,
)
from service.cli.library.index_report import print_report
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    ModelOption,
    PrecisionOption,
    RootOption,
    console,
    let_threads_sleep,
    library_of,
    roots_of,
    settings_of,
)
from service.cli.other_files import split_failures
from service.cli.progress import json_lines, json_report, progress_bar
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from indexer.ingest.index_run import IndexReport
    from indexer.media.segmentation import Segmentation
    from indexer.pipeline.progress import Progress
    from indexer.texts.text_makers import TextMaker
    from service.settings import Settings


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
    ray_gpus: RayGpusOption = 1.0,
    segment: SegmentOption = None,
    window: WindowOption = None,
    overlap: OverlapOption = None,
    cut: CutOption = None,
    publish_every: PublishOption = None,
    texts: TextsOption = True,
    ocr: OcrOption = False,
    speech: SpeechOption = None,
    frame_vectors: FramesOption = None,
    store: StoreOption = None,
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
            "base": base, "ray": ray, "ray_gpus": None if ray_gpus == 1 else ray_gpus,
            "keep_missing": keep_missing, "segment": segment, "window": window, "overlap": overlap, "cut": cut,
            "publish_every": publish_every, "no_texts": not texts, "json": as_json,
            "frame_vectors": frame_vectors is not None, "store": store,
        }  # fmt: skip
        with asked(server, library, **local) as client:
            if not remote.index(client, paths, ocr, speech) and strict:
                raise typer.Exit(1)
        return
    settings = settings_of(
        library=library,
        model=model,
        device=device,
        precision=precision,
        roots=roots_of(root),
        publish_every=publish_every,
        store=store,
    )
    folder = library_of(settings)
    if store is not None:
        _require_store(folder, store)
    report = run_index(
        settings,
        paths,
        workers,
        ray=ray,
        ray_gpus=ray_gpus,
        segmentation=segmentation_of(segment, window, overlap, cut),
        keep_missing=keep_missing,
        wait=wait,
        as_json=as_json,
        base=base,
        texts=texts,
        ocr=ocr,
        speech=speech,
        to_model=model is not None,
        frame_vectors=frame_vectors,
    )
    if report.interrupted or (strict and split_failures(report.refused)[0]):
        raise typer.Exit(1)


def run_index(
    settings: Settings,
    paths: Sequence[Path],
    workers: int = 1,
    *,
    ray: str | None = None,
    ray_gpus: float = 1.0,
    segmentation: Segmentation | None = None,
    keep_missing: bool = False,
    wait: bool = False,
    as_json: bool = False,
    base: Path | None = None,
    texts: bool = True,
    ocr: bool = False,
    speech: str | None = None,
    to_model: bool = False,
    frame_vectors: bool | None = None,
) -> IndexReport:
    """Index `paths` into the library of `settings`, showing the progress, and print what was done.

    to_model       change a library of another model to that of `settings`
    frame_vectors  see `index_videos`
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
        encoder, pipeline = open_pipeline(settings, workers, ray, ray_gpus)
    else:
        with out.status("Loading the model"):
            encoder, pipeline = open_pipeline(settings, workers, ray, ray_gpus)
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
            frame_vectors=frame_vectors,
            store=settings.store,
        )
    if as_json:
        typer.echo(json_report(report))
    else:
        print_report(report, folder)
    return report


def _require_store(folder: Path, store: str) -> None:
    """Raises InputError where there is a library already, with its vectors in another place."""
    from indexer.store.layout import exists
    from indexer.store.manifest import store_of
    from indexer.store.vector_home import checked_store
    from quartet.errors import InputError

    if exists(folder) and store_of(folder) != checked_store(store, None):
        raise InputError(
            f"The vectors of {folder} are in {store_of(folder) or 'its folder'}. To move them, run: quartet store "
            f"--library {folder} --to {store}"
        )


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
