"""`quartet evaluate`: how well a model finds captioned videos, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quartet.errors import InputError, VideoError
from service.cli.options import (
    DeviceOption,
    LibraryOption,
    LineOption,
    ModelOption,
    WeightsOption,
    console,
    library_of,
    settings_of,
)

if TYPE_CHECKING:
    from collections import Counter

    from model.evaluation.assessment import Subject
    from model.evaluation.scores import LevelScores
    from model.levels import Vectors
    from model.training.data.dataset import CaptionedVideo
    from service.settings import Settings

CaptionsArgument = Annotated[
    list[Path], typer.Argument(help="Caption files: JSONL, MSR-VTT, VATEX or an HGR folder.", show_default=False)
]
FeaturesOption = Annotated[
    list[Path] | None,
    typer.Option(help="Measure on frame features in this HDF5 file instead. May be repeated.", show_default=False),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out captioned videos that are not in the library or the features.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="With --features: folder for encoded captions. Default: QUARTET_TEXT_CACHE, else ~/.cache/quartet.",
        show_default=False,
    ),
]
VideosOption = Annotated[
    Path | None, typer.Option(help="With --features: folder of the videos, for the pictures.", show_default=False)
]
SplitOption = Annotated[str | None, typer.Option(help="Only this split: train, val or test.", show_default=False)]
TestListOption = Annotated[
    Path | None, typer.Option(help="CSV with the video_id of every test video, such as 1k-A.", show_default=False)
]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Write results.json, results.md and report.html to this folder.", show_default=False),
]
MtebOption = Annotated[
    Path | None,
    typer.Option("--mteb", help="Write the figures into this JSON file in MTEB's result format.", show_default=False),
]
FitOption = Annotated[
    bool, typer.Option("--fit-weights", help="Also print the weights of the levels that fit these captions best.")
]
SaveOption = Annotated[
    bool,
    typer.Option(
        "--save",
        help="With --fit-weights: use the fitted weights for every query of the library. Undo with "
        "quartet tune --undo.",
    ),
]
ContrastOption = Annotated[
    bool,
    typer.Option("--contrast", help="Also measure which level notices a changed noun, verb, role or attribute."),
]
ExamplesOption = Annotated[int, typer.Option(min=0, max=200, help="Queries that the report shows with pictures.")]


def evaluate(
    captions: CaptionsArgument,
    library: LibraryOption = None,
    features: FeaturesOption = None,
    videos: VideosOption = None,
    split: SplitOption = None,
    test_list: TestListOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    weights: WeightsOption = None,
    fit_weights: FitOption = False,
    save: SaveOption = False,
    contrast: ContrastOption = False,
    skip_missing: SkipOption = False,
    cache: CacheOption = None,
    report: ReportOption = None,
    mteb: MtebOption = None,
    examples: ExamplesOption = 12,
    as_json: LineOption = False,
) -> None:
    """Measure retrieval: recall, ranks, SumR, mAP and nDCG, both directions.

    With a library, the command measures the vectors of its index, so decoding and indexing count too. Figures are
    given per caption and per distinct caption; ties count against the model. Prints Markdown: one row for the fused
    score, one for each level alone, one for all levels without each, one for chance.

    [dim]quartet evaluate quartet-demo/captions.jsonl --library quartet-demo/library --report report[/]

    [dim]quartet evaluate captions.jsonl --split test --features features.h5 --model runs/mine[/]

    Weights are fitted to some captions and measured on others:

    [dim]quartet evaluate captions.jsonl --split val --library my-library --fit-weights[/]

    [dim]quartet evaluate captions.jsonl --split test --library my-library --weights global=1.9,entity=0.4[/]
    """
    from dataclasses import replace

    import numpy as np

    from model.evaluation.assessment import Subject, assess
    from model.evaluation.reports.mteb import write_mteb
    from model.evaluation.reports.report import markdown, to_json, write_report
    from model.levels import resolve_weights
    from model.training.data.caption_readers import read_captions

    _check_options(features, videos, fit_weights, save, contrast)
    read = read_captions(captions, test_list)
    for note in read.notes:
        typer.echo(note, err=True)
    captioned = list(read.videos) if split is None else read.split(split)
    if not captioned:
        raise InputError(f"The caption files have no videos in the split {split!r}.")
    settings = settings_of(library=library, model=model, device=device)
    if features:
        captioned = _with_features(captioned, features, skip_missing)
        texts = settings_of(text_cache=cache).text_cache_folder()
        measured = _on_features(settings, captioned, features, videos, texts)
    else:
        captioned = _in_library(settings, captioned, skip_missing)
        measured = _on_library(settings, captioned)
    subject = Subject(
        [video.video for video in captioned],
        [caption for video in captioned for caption in video.captions],
        np.repeat(np.arange(len(captioned)), [len(video.captions) for video in captioned]),
    )
    scores = measured.scores
    if weights:
        resolved = resolve_weights(scores.specs, weights)
        scores = replace(scores, specs=[replace(spec, weight=resolved[spec.name]) for spec in scores.specs])
    with console().status("Ranking"):
        assessment = replace(assess(scores, subject, examples), labels=_labels(subject))
    if as_json:
        figures = to_json(assessment, measured.about)
        typer.echo(json.dumps({"event": "evaluation", "markdown": markdown(assessment), "results": figures}))
        return
    typer.echo(markdown(assessment))
    if contrast and measured.encode is not None:
        _show_contrast(scores, subject, measured.encode)
    if fit_weights:
        source = f"{len(subject.owner)} captions of {len(captioned)} videos ({captions[0].name})"
        _fit_weights(scores, subject, source, library_of(settings) if save else None)
    if mteb is not None:
        write_mteb(mteb, assessment, captions[0].stem, split or "all")
        typer.echo(f"Wrote {mteb}.", err=True)
    if report is not None:
        files = ", ".join(path.name for path in captions)
        about = {**measured.about, "captions": files, "split": split or "all"}
        if weights:
            about["weights"] = ", ".join(f"{name} {weight:g}" for name, weight in resolved.items())
        for path in write_report(report, assessment, about, measured.picture):
            typer.echo(f"Wrote {path}.", err=True)


def _labels(subject: Subject) -> dict[str, Counter[str]]:
    """How many captions have each noun, verb and triplet, by the bundled parser."""
    from model.evaluation.assessment import label_frequencies
    from model.language.spacy_parser import SpacyParser

    distinct = list(dict.fromkeys(subject.captions))
    found = dict(zip(distinct, (parse.attributes() for parse in SpacyParser().parse(distinct)), strict=True))
    return label_frequencies([found[caption] for caption in subject.captions])


def _check_options(
    features: list[Path] | None, videos: Path | None, fit_weights: bool, save: bool, contrast: bool
) -> None:
    if videos is not None and not features:
        raise typer.BadParameter("This option needs --features. A library has its own pictures.", param_hint="--videos")
    if save and (not fit_weights or features):
        raise typer.BadParameter("This option needs --fit-weights and a library.", param_hint="--save")
    if contrast and features:
        raise typer.BadParameter("This option needs a library. Leave out --features.", param_hint="--contrast")


def _show_contrast(scores: LevelScores, subject: Subject, encode: Callable[[Sequence[str]], Vectors]) -> None:
    """Print who notices what is changed in captions."""
    from dataclasses import replace

    import numpy as np

    from model.evaluation.contrast import changes, contrast_table, own_scores, share_noticed
    from model.language.spacy_parser import SpacyParser

    with console().status("Changing captions"):
        changed = changes(SpacyParser().parse(list(subject.captions)))
        if not changed:
            typer.echo("\nNo caption has a word that can be changed.")
            return
        plain = replace(scores, ablations=False)
        altered = replace(plain, text_queries=encode([change.text for change in changed]))
        owner = np.asarray(subject.owner)
        own = own_scores(plain, owner), own_scores(altered, owner[[change.caption for change in changed]])
    table = contrast_table(share_noticed(changed, *own))
    typer.echo(f"\nEach caption against a copy with one word changed, on its own video:\n\n{table}")


def _fit_weights(scores: LevelScores, subject: Subject, source: str, library: Path | None) -> None:
    """Print the weights that fit best, and have `library` use them for every query."""
    from dataclasses import replace

    from indexer.store.search_settings import read_search_settings, write_search_settings
    from model.training.loop.level_weights import fit_level_weights

    with console().status("Fitting weights"):
        fitted = fit_level_weights(scores, subject.owner).exp().tolist()
    weights = {name: float(f"{weight:.3g}") for name, weight in zip(scores.levels, fitted, strict=True)}
    given = ",".join(f"{name}={weight:g}" for name, weight in weights.items())
    typer.echo(f"\nFitted to these captions, to be measured on others: --weights {given}")
    if library is not None:
        known = read_search_settings(library)
        write_search_settings(library, replace(known, weights=weights, weights_from=f"fitted to {source}"))
        typer.echo("Saved. New searches use them; restart a running service. Undo with: quartet tune --undo")


@dataclass(frozen=True)
class _Measured:
    """Scores of all captions against all videos, what they are of, and pictures of the videos by number.

    `encode` makes query vectors of other texts; None where that is not possible.
    """

    scores: LevelScores
    about: dict[str, str]
    picture: Callable[[int], bytes | None]
    encode: Callable[[Sequence[str]], Vectors] | None = None


def _in_library(settings: Settings, captioned: list[CaptionedVideo], skip_missing: bool) -> list[CaptionedVideo]:
    """The captioned videos that the library has; the others are named, or refused."""
    from indexer.store.library import Library
    from indexer.texts.captions import video_names
    from model.training.data.dataset_checks import list_names

    folder = library_of(settings)
    with Library.open(folder) as library:
        names = video_names(library.catalog.list_videos(limit=None))
    missing = [video.video for video in captioned if video.video not in names]
    found = [video for video in captioned if video.video in names]
    if missing and not (skip_missing and found):
        remedy = "Index the videos, or leave them out with --skip-missing." if found else "Index the videos first."
        raise InputError(f"{list_names(f'videos are not in the library {folder}', missing)}. {remedy}")
    if missing:
        typer.echo(f"Left out: {list_names(f'videos are not in the library {folder}', missing)}.", err=True)
    return found


def _with_features(
    captioned: list[CaptionedVideo], features: Sequence[Path], skip_missing: bool
) -> list[CaptionedVideo]:
    """The captioned videos that have features; the others are named, or refused."""
    from model.training.data.feature_set import FeatureSet

    with FeatureSet(features) as file:
        found = file.with_features(captioned, skip_missing, lambda note: typer.echo(note, err=True))
        if not found:
            raise InputError(f"{file.name} has no features of the captioned videos.")
    return found


def _on_library(settings: Settings, captioned: Sequence[CaptionedVideo]) -> _Measured:
    folder = library_of(settings)

    import numpy as np

    from indexer.store.layout import thumbnail_path
    from indexer.store.library import Library
    from indexer.texts.captions import video_names
    from model.evaluation.scores import LevelScores
    from model.training.data.dataset_checks import list_names
    from service.encoders.model_choice import query_encoder

    with console().status("Loading the model"):
        encoder = query_encoder(settings)
    with Library.open(folder) as library:
        library.check_encoder(encoder.spec)
        by_name = video_names(library.catalog.list_videos(limit=None))
        ids = [by_name[video.video] for video in captioned]
        if len(set(ids)) < len(ids):
            first = {video: i for i, video in reversed(list(enumerate(ids)))}
            twice = [captioned[i].video for i, video in enumerate(ids) if first[video] < i]
            raise InputError(f"{list_names('captioned videos are duplicates of earlier videos', twice)}.")
        clips: dict[int, list[int]] = {video: [] for video in ids}
        for clip in library.catalog.list_clips(limit=None):
            if clip.video_id in clips:
                clips[clip.video_id].append(clip.id)
        gallery = library.current().clips.vectors([clip for video in ids for clip in clips[video]])

    def encode(texts: Sequence[str]) -> Vectors:
        return encoder.text_queries(encoder.encode_texts(list(texts)).vectors)

    with console().status("Encoding captions"):
        queries = encode([c for v in captioned for c in v.captions])
    counts = np.array([len(clips[video]) for video in ids])
    about = {"model": encoder.spec.name, "fingerprint": encoder.spec.fingerprint, "library": folder.name}

    def picture(video: int) -> bytes | None:
        own = clips[ids[video]]
        path = thumbnail_path(folder, own[len(own) // 2])
        return path.read_bytes() if path.is_file() else None

    scores = LevelScores(encoder.spec.levels, queries, gallery, counts, ablations=True)
    return _Measured(scores, about, picture, encode)


def _on_features(
    settings: Settings, captioned: Sequence[CaptionedVideo], features: Sequence[Path], videos: Path | None, cache: Path
) -> _Measured:
    from dataclasses import replace

    from model.registry import checkpoint_folder, resolve_device
    from model.training.loop.feature_training import scores_on_features
    from service.encoders.model_choice import chosen_model

    files = {} if videos is None else _files_by_name(videos)
    with console().status("Encoding captions and features"):
        folder = checkpoint_folder(chosen_model(settings), settings.models)
        scores, checkpoint = scores_on_features(
            folder, captioned, features, resolve_device(settings.device), settings.models, cache
        )
    about = {
        "model": checkpoint.name,
        "fingerprint": checkpoint.fingerprint,
        "features": ", ".join(path.name for path in features),
    }

    def picture(video: int) -> bytes | None:
        name = captioned[video].video
        if videos is None:
            return None
        if name not in files:
            typer.echo(f"No picture of {name}: {videos} has no such file.", err=True)
            return None
        return _picture_of(files[name])

    return _Measured(replace(scores, ablations=True), about, picture)


def _files_by_name(folder: Path) -> dict[str, Path]:
    """Files below a folder by their path there, with and without the suffix, as `quartet features` names them."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.")
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        files[str(inside)] = path
        files.setdefault(str(inside.with_suffix("")), path)
    return files


def _picture_of(path: Path) -> bytes | None:
    """The middle frame of a video as WebP; a file that cannot be read is named and has none."""
    from indexer.media.clip_reader import sample_frames
    from indexer.media.thumbnails import thumbnail

    try:
        return thumbnail(sample_frames(path, 1).frames)
    except VideoError as error:
        typer.echo(f"No picture of {error}", err=True)
        return None
