"""`quartet train`: make a checkpoint."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from quartet.errors import InputError
from quartet.installation import install_command
from service.cli.options import CacheOption, console, let_threads_sleep, settings_of
from service.cli.tables import settings_table
from service.cli.training.features import TwoTowerOption, load_network, stage_bar

if TYPE_CHECKING:
    from model.evaluation.metrics import Retrieval
    from model.training.data.caption_readers import CaptionSet
    from model.vision.frame_networks import FrameNetwork

CaptionsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Caption files: JSONL, MSR-VTT, VATEX or an HGR folder. Not for demo.", show_default=False),
]
FeaturesOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="HDF5 file of frame features; `quartet features` makes one. Repeat it for more files: features "
        "of other videos are added, further features of the same videos are concatenated.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Change a setting of the preset. May be repeated.", show_default=False
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="List every setting with its value in this preset, and stop.")
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of passes over the captions.",
        show_default="the preset's, of plus more where videos have few captions",
    ),
]
BatchOption = Annotated[
    int | None, typer.Option("--batch-size", min=2, help="Number of captions per step.", show_default="the preset's")
]
RateOption = Annotated[float | None, typer.Option("--lr", help="Learning rate.", show_default="the preset's")]
FramesOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1000, help="Number of frames per clip, in training and in the index.", show_default="the preset's"
    ),
]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the videos. Their frame features are computed first and saved below --out.", show_default=False
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(help="The backbone's weights. The checkpoint needs them to index videos.", show_default=False),
]
ParserOption = Annotated[
    str | None,
    typer.Option(
        help="Package of an installed spaCy pipeline that parses the captions. Not for demo.", show_default="bundled"
    ),
]
SentenceOption = Annotated[
    str | None,
    typer.Option(
        help="Reads the captions: folder of a sentence-transformers model, or a prepared name. Not for demo.",
        show_default="all-MiniLM-L6-v2",
    ),
]
UnfreezeOption = Annotated[
    bool, typer.Option("--unfreeze-text", help="With a two-tower model: also train its text tower.")
]
TestListOption = Annotated[
    Path | None, typer.Option(help="CSV with the video_id of every test video, such as 1k-A.", show_default=False)
]
GloveOption = Annotated[
    Path | None,
    typer.Option(
        help="Text file of initial word vectors (GloVe), instead of the sentence encoder's.",
        show_default=False,
    ),
]


def train(
    captions: CaptionsArgument = None,
    features: FeaturesOption = None,
    videos: VideosOption = None,
    backbone: Annotated[str, typer.Option(help="With --videos: any torchvision classifier.")] = "resnet152",
    backbone_weights: WeightsOption = None,
    model: TwoTowerOption = None,
    unfreeze_text: UnfreezeOption = False,
    frames: FramesOption = None,
    workers: Annotated[int, typer.Option(min=1, help="With --videos: number of videos decoded at the same time.")] = 1,
    test_list: TestListOption = None,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="Leave out videos without features.")] = False,
    glove: GloveOption = None,
    parser: ParserOption = None,
    sentence_model: SentenceOption = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="plus, paper (to the letter), clip, or demo: the bundled model, on the generated world.",
            show_default="plus; with --model clip",
        ),
    ] = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    settings: SetOption = None,
    explain: ExplainOption = False,
    out: Annotated[Path, typer.Option(help="Folder for the new checkpoint and its logs.")] = Path("runs/model"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model on one machine.")] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from the beginning instead of resuming a stopped run.")
    ] = False,
    cache: CacheOption = None,
) -> None:
    """Train a model on captioned videos, or retrain the bundled one.

    Your own videos need captions, and the weights of a backbone that sees frames or a file of frame features. If the
    captions name no validation split, a tenth of the training videos is used for validation.

    Start a stopped run again with the same arguments to resume it. The result is the same as without the stop.

    [dim]quartet train captions.jsonl --videos ~/Videos --backbone-weights resnet152.pth --out runs/mine[/]

    [dim]quartet train captions.jsonl --features features.h5 --backbone-weights resnet152.pth --out runs/mine[/]

    Train on top of a two-tower model, starting from zero-shot search:

    [dim]quartet train captions.jsonl --videos ~/Videos --model clip-ViT-B-32 --out runs/mine[/]

    Every setting of a preset can be changed; --explain lists them:

    [dim]quartet train captions.jsonl --features features.h5 --epochs 20 --set model.dropout=0.3[/]

    The preset demo needs no input: it renders its own clips. It takes about 48 minutes of processor time on two
    cores, and cannot be resumed.

    [dim]quartet train --preset demo --out runs/demo --seed 1[/]
    """
    let_threads_sleep()
    from model.mcsan.overrides import override
    from model.mcsan.overrides import settings as settings_of_preset
    from model.mcsan.presets import preset as preset_of

    preset = preset or ("clip" if model else "plus")
    given = {
        "model.frames": frames, "training.epochs": epochs, "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
    }  # fmt: skip
    changes = [f"{name}={value}" for name, value in given.items() if value is not None] + (settings or [])
    chosen = override(replace(preset_of(preset), unfreeze_text=unfreeze_text), changes)
    if explain:
        console().print(settings_table(settings_of_preset(chosen), preset))
        return
    try:
        import lightning  # noqa: F401
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(f"Training needs the extra `train`. Run: {install_command('train')}") from error
    from model.training.data.run_lock import run_lock
    from model.training.loop.run_record import kept_epoch

    began = time.monotonic()
    if preset == "demo" and not captions:
        _require_unchanged_demo(glove, changes, parser, sentence_model)
        with run_lock(out):
            history = _train_demo(out, seed)
    else:
        _require_one_source(captions, features, videos, backbone_weights, model)
        from model.training.data.caption_readers import read_captions
        from model.training.distributed import is_first_process
        from model.training.loop.feature_training import train_on_features

        read = read_captions(captions or (), test_list)
        for note in read.notes if is_first_process() else ():
            typer.echo(note, err=True)
        with run_lock(out):
            if videos is not None:
                features = [out / "features.h5"]
                if is_first_process():
                    network = load_network(backbone, backbone_weights, model, "auto")
                    _encode_videos(read, videos, network, chosen.model.frames, workers, features[0])
            history = train_on_features(
                chosen,
                read,
                features or (),
                out,
                seed,
                typer.echo,
                backbone_weights,
                glove=glove,
                parser=parser,
                cache=settings_of(text_cache=cache).text_cache_folder(),
                stage=stage_bar,
                fresh=fresh,
                skip_missing=skip_missing or videos is not None,
                made_with={} if videos is None else {"backbone": model or backbone},
                models=settings_of().models,
                sentence_model=sentence_model,
            )
        if not is_first_process():
            return
    best = history[kept_epoch(history, chosen.train.keep)]
    per_level = "  ".join(f"{name} {result.sum_r:.0f}" for name, result in best.items())
    typer.echo(f"{out}: validation SumR {per_level}, after {(time.monotonic() - began) / 60:.1f} min")


def _require_unchanged_demo(
    glove: Path | None, changes: list[str], parser: str | None, sentence_model: str | None
) -> None:
    """Raises InputError for options that the preset demo does not have without captions."""
    if glove is not None:
        raise InputError("--glove needs caption files. The preset demo has its own words.")
    if changes:
        raise InputError(
            "The preset demo trains the bundled model as it is. Leave out --set, --frames, --epochs, --batch-size "
            "and --lr."
        )
    if sentence_model is not None:
        raise InputError("The preset demo trains with the sentence encoder that it has. Leave out --sentence-model.")
    if parser is not None:
        raise InputError("The preset demo trains with the bundled caption parser. Leave out --parser.")


def _require_one_source(
    captions: list[Path] | None,
    features: list[Path] | None,
    videos: Path | None,
    weights: Path | None,
    model: str | None,
) -> None:
    """Raises InputError unless captions and exactly one source of frame features are named."""
    if not captions or bool(features) == (videos is not None):
        raise InputError("Name caption files and either --features, a file to train on, or --videos, a folder.")
    if model is not None and videos is None:
        raise InputError("--model needs --videos. A file of features already names its model.")
    if videos is not None and (weights is None) == (model is None):
        raise InputError(
            "Training from --videos needs --backbone-weights, the weights of the backbone, or --model, a two-tower "
            "model."
        )


def _encode_videos(read: CaptionSet, folder: Path, network: FrameNetwork, frames: int, workers: int, out: Path) -> None:
    """Make the features of the captioned videos, and tell what has no counterpart or cannot be read."""
    from indexer.ingest.frame_features import by_name, encode_videos, files_below
    from model.training.data.dataset_checks import list_names

    files = files_below(folder)
    # Captions name a video by its path below the folder, with the suffix or without.
    captioned = {video.video for video in read.videos}
    meant = {file: captioned & {file, PurePosixPath(file).with_suffix("").as_posix()} for file in files}
    chosen = by_name({file: path for file, path in files.items() if meant[file]})
    absent = sorted(captioned.difference(*meant.values()))
    bare = [file for file in files if not meant[file]]
    if absent:
        typer.echo(list_names(f"captioned videos are not in {folder}", absent), err=True)
    if bare:
        typer.echo(list_names(f"files in {folder} have no captions", bare), err=True)
    if not chosen:
        raise InputError(f"No file in {folder} has the name of a captioned video.")
    with stage_bar("Frame features") as advance:
        report = encode_videos(chosen, network, out, frames, advance, workers)
    typer.echo(f"{out}: features of {report.encoded + report.known} videos, {report.encoded} of them new.")
    if report.refused:
        typer.echo(f"{len(report.refused)} videos cannot be read and are left out:", err=True)
        for failure in report.refused:
            typer.echo(f"  {failure.path}: {failure.reason}. {failure.detail}", err=True)


def _train_demo(out: Path, seed: int) -> list[dict[str, Retrieval]]:
    from demo.train import train_demo

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[details]}"),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    bar = Progress(*columns, console=console())

    def report(stage: str, done: int, total: int, details: str) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, details=details)
        bar.update(tasks[stage], completed=done, details=details)
        if stage.startswith("sentences, val") and done == total:
            bar.stop()  # Lightning draws its own bar for the towers, and two live displays cannot share a terminal

    with bar:
        return train_demo(out, out / "log", seed, report)
