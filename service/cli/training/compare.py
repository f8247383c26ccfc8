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
GloveOption = Annotated[
    Path | None,
    typer.Option(
        help="Text file of word vectors, such as GloVe's: the words of every model start there and are trained.",
        show_default=False,
    ),
]
EpochsOption = Annotated[
    int | None, typer.Option(help="Epochs for every model. Default: the number in its paper or preset.")
]
BatchOption = Annotated[
    int | None, typer.Option("--batch-size", min=2, help="Captions per step, for every model.", show_default="its own")
]
RateOption = Annotated[
    float | None, typer.Option("--lr", help="Learning rate, for every model.", show_default="its own")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting of every model that has it, as in quartet train. May be repeated.",
        show_default=False,
    ),
]


def compare(
    captions: CaptionsArgument,
    features: FeaturesOption,
    models: Annotated[str, typer.Option(help="Model names, separated by commas. An unknown name lists all.")],
    seeds: Annotated[int, typer.Option(help="Number of runs of each model, with the seeds 0, 1, ...")] = 3,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    learning_rate: RateOption = None,
    settings: SetOption = None,
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
    glove: GloveOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/comparison"),
) -> None:
    """Train and measure several models on the same splits, features and words.

    MCSAN, its ablations, the presets of `quartet train`, and the models that its paper compares with. Each is trained
    on the training videos, its best epoch is chosen on the validation videos and measured on the test videos. A
    stopped comparison resumes: finished runs are not trained again.

    [dim]quartet compare captions.jsonl --features features.h5 --models mcsan,vse++,dual-encoding --epochs 10[/]

    A model may carry changes of its own, to be compared with itself:

    [dim]quartet compare captions.jsonl --features f.h5 --models mcsan,mcsan:loss.focal=off,plus:model.dropout=0.3[/]

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
    from model.training.compare.caption_encoder import caption_encoder
    from model.training.compare.kept_models import Keeping
    from model.training.data.caption_readers import read_captions
    from model.training.data.run_lock import run_lock
    from model.training.distributed import is_first_process

    given = {"training.batch_size": batch_size, "training.learning_rate": learning_rate}
    changes = (*(f"{name}={value}" for name, value in given.items() if value is not None), *(settings or ()))
    plan = Plan(tuple(name.strip() for name in models.split(",")), seeds, epochs, frames, width, against, changes)
    read = read_captions(captions, test_list)
    for note in read.notes if is_first_process() else ():
        typer.echo(note, err=True)

    def tell(sentence: str) -> None:
        typer.echo(sentence, err=True)

    own = settings_of(text_cache=cache)
    texts = own.text_cache_folder()
    keeping = Keeping(keep, backbone_weights, own.models) if keep is not None else None
    sentences = caption_encoder(plan.models, features, sentence_model, own.models)
    total = len(plan.runs())
    with run_lock(out):
        runs = run(plan, read, features, out, tell, texts, skip_missing, keeping, sentences, glove)
        for number, done in enumerate(runs, 1):
            typer.echo(
                f"[{number}/{total}] {done.model}, seed {done.seed}: test SumR {done.test['fused']['sum_r']:.1f}; "
                f"validation {done.validation_sum_r:.1f} at epoch {done.best_epoch} of {done.epochs}; "
                f"{done.train_seconds / 60:.1f} min, {done.train_cpu_seconds / 60:.1f} of a processor",
                err=True,
            )
    if is_first_process():
        typer.echo((out / "table.md").read_text(encoding="utf-8"), nl=False)
