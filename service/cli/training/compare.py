"""`quartet compare`: models trained and measured on the same data, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quartet.errors import InputError
from quartet.installation import install_command
from service.cli.options import CacheOption, let_threads_sleep, settings_of

CaptionsArgument = Annotated[
    list[Path], typer.Argument(help="Caption files: JSONL, MSR-VTT, VATEX or an HGR folder.", show_default=False)
]
FeaturesOption = Annotated[
    list[Path],
    typer.Option(help="HDF5 file of frame features. Repeat it if each split has its own file.", show_default=False),
]
SkipOption = Annotated[bool, typer.Option("--skip-missing", help="Leave out videos without features.")]
TestListOption = Annotated[
    Path | None, typer.Option(help="CSV with the video_id of every test video, such as 1k-A.", show_default=False)
]
KeepOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep every model as a checkpoint below this folder, for quartet index and serve.", show_default=False
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="With --keep: weights of the backbone that made the features, or a checkpoint that holds it, such as "
        "demo. Kept models then see videos.",
        show_default=False,
    ),
]
SentenceOption = Annotated[
    str | None,
    typer.Option(
        help="Reads the captions: folder of a sentence-transformers model, or a prepared name.",
        show_default="all-MiniLM-L6-v2",
    ),
]
EpochsOption = Annotated[
    int | None, typer.Option(help="Epochs for every model. Default: the number in its paper or preset.")
]


def compare(
    captions: CaptionsArgument,
    features: FeaturesOption,
    models: Annotated[str, typer.Option(help="Model names, separated by commas. An unknown name lists all.")],
    seeds: Annotated[int, typer.Option(help="Number of runs of each model, with the seeds 0, 1, ...")] = 3,
    epochs: EpochsOption = None,
    frames: Annotated[int, typer.Option(help="Maximum frames of a video that a model sees.")] = 20,
    width: Annotated[
        float, typer.Option(help="Factor for the published widths of the models. Presets keep their width.")
    ] = 1.0,
    against: Annotated[
        str | None,
        typer.Option(help="Model that the others are compared with, by SumR.", show_default="the first of --models"),
    ] = None,
    test_list: TestListOption = None,
    skip_missing: SkipOption = False,
    cache: CacheOption = None,
    keep: KeepOption = None,
    backbone_weights: WeightsOption = None,
    sentence_model: SentenceOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/comparison"),
) -> None:
    """Train and measure several models on the same splits, features and words.

    MCSAN, its ablations, the presets of `quartet train`, and the models that its paper compares with. Each is trained
    on the training videos, its best epoch is chosen on the validation videos and measured on the test videos. A
    stopped comparison resumes: finished runs are not trained again.

    [dim]quartet compare captions.jsonl --features features.h5 --models mcsan,vse++,dual-encoding --epochs 10[/]

    A kept model serves a library, as one of quartet train does:

    [dim]quartet compare captions.jsonl --features f.h5 --models vse++,hsl --keep kept --backbone-weights w.pth[/]

    [dim]quartet index VIDEOS --library my-library --model kept/vse++-seed0[/]
    """
    if backbone_weights is not None and keep is None:
        raise typer.BadParameter("It goes with --keep.", param_hint="--backbone-weights")
    let_threads_sleep()
    try:
        from model.training.compare.comparison import Plan
        from model.training.compare.comparison import compare as run
    except ImportError as error:
        raise InputError(f"Training needs the extra `train`. Run: {install_command('train')}") from error
    from model.training.compare.kept_models import Keeping
    from model.training.data.caption_readers import read_captions
    from model.training.distributed import is_first_process
    from model.training.loop.run_lock import run_lock
    from model.vision.frame_networks import load_sentences

    plan = Plan(tuple(name.strip() for name in models.split(",")), seeds, epochs, frames, width, against)
    read = read_captions(captions, test_list)
    for note in read.notes if is_first_process() else ():
        typer.echo(note, err=True)

    def tell(sentence: str) -> None:
        typer.echo(sentence, err=True)

    settings = settings_of(text_cache=cache)
    texts = settings.text_cache_folder()
    keeping = Keeping(keep, backbone_weights, settings.models) if keep is not None else None
    sentences = None if sentence_model is None else load_sentences(sentence_model, settings.models)
    total = len(plan.runs())
    with run_lock(out):
        for number, done in enumerate(run(plan, read, features, out, tell, texts, skip_missing, keeping, sentences), 1):
            typer.echo(
                f"[{number}/{total}] {done.model}, seed {done.seed}: test SumR {done.test['fused']['sum_r']:.1f}; "
                f"validation {done.validation_sum_r:.1f} at epoch {done.best_epoch} of {done.epochs}; "
                f"{done.train_seconds / 60:.1f} min, {done.train_cpu_seconds / 60:.1f} of a processor",
                err=True,
            )
    if is_first_process():
        typer.echo((out / "table.md").read_text(encoding="utf-8"), nl=False)
