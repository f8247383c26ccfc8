"""`quartet evaluate`: how well a model finds captioned videos, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quartet.errors import InputError
from service.cli import remote
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
from service.cli.remote import ServerOption, asked

if TYPE_CHECKING:
    from model.evaluation.assessment import Subject
    from model.evaluation.scores import LevelScores
    from model.training.data.dataset import CaptionedVideo

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
    server: ServerOption = None,
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

    With --server, a running service measures its library; captioned videos that it does not have are left out.

    [dim]quartet evaluate captions.jsonl --split test --server http://localhost:8000[/]
    """
    if server is not None:
        local = {
            "features": features, "videos": videos, "test_list": test_list, "model": model, "device": device,
            "weights": weights, "fit_weights": fit_weights, "save": save, "contrast": contrast,
            "skip_missing": skip_missing, "cache": cache, "report": report, "mteb": mteb,
        }  # fmt: skip
        with asked(server, library, **local) as client:
            remote.evaluate(client, captions, split, as_json)
        return
    from dataclasses import replace

    from model.evaluation.assessment import assess, label_frequencies
    from model.evaluation.contrast import measure_contrast
    from model.evaluation.reports.mteb import write_mteb
    from model.evaluation.reports.report import markdown, to_json, write_report
    from model.levels import resolve_weights
    from service.cli.training.measured_model import on_features, on_library, parsed_captions

    _check_options(features, videos, fit_weights, save)
    captioned = _captioned(captions, test_list, split)
    settings = settings_of(library=library, model=model, device=device)
    if features:
        texts = settings_of(text_cache=cache).text_cache_folder()
        measured = on_features(settings, captioned, features, skip_missing, videos, texts)
    else:
        measured = on_library(settings, captioned, skip_missing)
    subject = measured.subject
    scores = measured.scores
    if weights:
        resolved = resolve_weights(scores.specs, weights)
        scores = replace(scores, specs=[replace(spec, weight=resolved[spec.name]) for spec in scores.specs])
    with console().status("Ranking"):
        assessment = assess(scores, subject, examples)
    with console().status("Parsing captions"):
        parsed = parsed_captions(subject)
        assessment = replace(assessment, labels=label_frequencies([parse.attributes() for parse in parsed]))
        if contrast:
            found = measure_contrast(scores, subject.owner, parsed, measured.encode)
            assessment = replace(assessment, contrast=found)
    if as_json:
        figures = to_json(assessment, measured.about)
        typer.echo(json.dumps({"event": "evaluation", "markdown": markdown(assessment), "results": figures}))
        return
    typer.echo(markdown(assessment))
    if fit_weights:
        source = f"{len(subject.owner)} captions of {len(subject.videos)} videos ({captions[0].name})"
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


def _captioned(captions: list[Path], test_list: Path | None, split: str | None) -> list[CaptionedVideo]:
    """The videos of caption files, or of one split. Raises InputError if there are none."""
    from model.training.data.caption_readers import read_captions

    read = read_captions(captions, test_list)
    for note in read.notes:
        typer.echo(note, err=True)
    captioned = list(read.videos) if split is None else read.split(split)
    if not captioned:
        raise InputError(f"The caption files have no videos in the split {split!r}.")
    return captioned


def _check_options(features: list[Path] | None, videos: Path | None, fit_weights: bool, save: bool) -> None:
    if videos is not None and not features:
        raise typer.BadParameter("This option needs --features. A library has its own pictures.", param_hint="--videos")
    if save and (not fit_weights or features):
        raise typer.BadParameter("This option needs --fit-weights and a library.", param_hint="--save")


def _fit_weights(scores: LevelScores, subject: Subject, source: str, library: Path | None) -> None:
    """Print the weights that fit best, and have `library` use them for every query."""
    from dataclasses import replace

    from indexer.store.search_settings import read_search_settings, write_search_settings
    from model.training.fitting.level_weights import fit_level_weights

    with console().status("Fitting weights"):
        fitted = fit_level_weights(scores, subject.owner).exp().tolist()
    weights = {name: float(f"{weight:.3g}") for name, weight in zip(scores.levels, fitted, strict=True)}
    given = ",".join(f"{name}={weight:g}" for name, weight in weights.items())
    typer.echo(f"\nFitted to these captions, to be measured on others: --weights {given}")
    if library is not None:
        known = read_search_settings(library)
        write_search_settings(library, replace(known, weights=weights, weights_from=f"fitted to {source}"))
        typer.echo("Saved. New searches use them; restart a running service. Undo with: quartet tune --undo")
