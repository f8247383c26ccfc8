"""Several models trained and measured on the same splits, one after the other, into one table.

    OUT/runs/MODEL-seed0.json   one finished run: settings, metrics on the test split, size, time, best epoch
    OUT/runs/MODEL-seed0/       its logs
    OUT/results.json            all runs, and the mean and spread of every figure
    OUT/table.md                the same as a table
    KEEP/MODEL-seed0/           its checkpoint, where models are kept

A run whose file exists is not trained again, so a comparison that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L

from model.evaluation.metrics import Retrieval
from model.evaluation.ranks import rank_all
from model.evaluation.relevance import per_distinct_caption
from model.evaluation.scores import FUSED, GivenScores
from model.language.sentence_encoder import SentenceEncoder, Sentences
from model.language.spacy_parser import SpacyParser
from model.language.word_vectors import initial_words
from model.mcsan.config import TrainConfig
from model.mcsan.text_features import TextFeaturizer
from model.training.compare.contestants import TRAINING, Contestant, contestant
from model.training.compare.inputs import Inputs
from model.training.compare.kept_models import Keeping, TextTools
from model.training.compare.paired_bootstrap import video_counts
from model.training.compare.result_table import DISTINCT, FORMAT, FinishedRun, write_standings
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo, VideoText, Vocabularies
from model.training.data.dataset_checks import file_digest
from model.training.data.feature_set import FeatureSet
from model.training.data.splits import hold_out
from model.training.data.text_cache import TextCache
from model.training.distributed import is_first_process
from model.training.loop.feature_training import Tell, video_text, with_changes
from model.training.loop.matcher import Matcher, score_matrix
from model.training.loop.run_record import kept_epoch
from model.training.loop.single_run import fit_matcher, vocabularies_of
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower
from quartet.errors import InputError

SPLIT_SEED = 0
"""Draws the validation videos where the captions name none: the same ones for every run."""


@dataclass(frozen=True)
class Plan:
    """What to compare.

    models   names of `contestants.py`; every one is trained with the seeds 0 to `seeds` - 1
    epochs   of every model; None: as many as its own configuration says
    frames   N, the most frames of a video that any model sees
    width    multiplies the published widths: see `Inputs.width`
    against  the model that the others are compared with; None: the first
    changes  of settings, each as NAME=VALUE, for all models that have them: published models have those of training

    Raises InputError for an unknown model, one that is named twice, changes that no model can have, and numbers below
    1.
    """

    models: tuple[str, ...]
    seeds: int = 3
    epochs: int | None = None
    frames: int = 20
    width: float = 1.0
    against: str | None = None
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.against is not None and self.against not in self.models:
            raise InputError(f"The model {self.against!r} to compare with is not one of: {', '.join(self.models)}.")
        for name in self.models:
            self.contestant(name)
            if self.models.count(name) > 1:
                raise InputError(f"The model {name!r} is named twice.")
        if all(contestant(name).of is None for name in self.models):
            for change in self.changes:
                if not change.startswith(TRAINING):
                    raise InputError(f"None of the models has the setting {change!r}: they are published models.")
        for what, value in (("seeds", self.seeds), ("epochs", self.epochs), ("frames", self.frames)):
            if value is not None and value < 1:
                raise InputError(f"The number of {what} must be at least 1, not {value}.")
        if not 0 < self.width <= 4:
            raise InputError(f"The width must be above 0 and at most 4 times the published one, not {self.width}.")

    def contestant(self, model: str) -> Contestant:
        return contestant(model, self.changes)

    def runs(self) -> list[tuple[str, int]]:
        """Every (model, seed): all models with the first seed first, so that an early stop leaves a whole table."""
        return [(model, seed) for seed in range(self.seeds) for model in self.models]

    def settings(self, model: str) -> dict[str, Any]:
        """Everything but the data and the seed that decides the figures of a model, as JSON keeps it."""
        chosen = self.contestant(model)
        settings = {
            "frames": self.frames,
            "width": self.width,
            "model": chosen.settings,
            "training": asdict(self.training(model)),
        }
        return dict(json.loads(json.dumps(settings)))

    def changes_captions(self, model: str) -> bool:
        """Whether a model learns from captions with one thing changed."""
        return bool(self.contestant(model).settings.get("loss", {}).get("hard_negatives"))

    def training(self, model: str) -> TrainConfig:
        """How a model is trained."""
        config = self.contestant(model).train
        return config if self.epochs is None else replace(config, epochs=self.epochs, views=0)


@dataclass(frozen=True)
class Splits:
    """The data that every model sees.

    files  the widths of the features files, side by side in every frame
    tower  the two-tower model that read the captions, where one did
    """

    train: VideoText
    validation: VideoText
    test: VideoText
    text_tools: TextTools
    files: tuple[int, ...] = ()
    tower: TwoTower | None = None


def compare(
    plan: Plan,
    captions: CaptionSet,
    features: Sequence[Path],
    folder: Path,
    tell: Tell,
    cache: Path | None = None,
    skip_missing: bool = False,
    keeping: Keeping | None = None,
    sentences: Sentences | None = None,
    glove: Path | None = None,
) -> Iterator[FinishedRun]:
    """Yield every run of `plan` as it is finished, and keep OUT's table up to date.

    `sentences` reads the captions, by default MiniLM. With `glove` the words of every model start from the vectors of
    that file instead and are trained.
    Captions are kept encoded below `cache` (default: `folder`). A run that was stopped goes on from its last epoch.
    `skip_missing` leaves out videos without features. `keeping` keeps every model, and trains those again whose figures
    are there without their checkpoint. Where several GPUs train together, each runs this in a process of
    its own: all train, the first alone measures, writes and yields.

    Raises InputError for captions without a test split, for features that do not fit, and for a folder with runs of
    other settings or data, and for models that cannot be kept.
    """
    if keeping is not None:
        keeping.require_vectors(plan.models, glove is not None)
    first = is_first_process()
    tell = tell if first else lambda sentence: None
    test = captions.split("test")
    if not test:
        raise InputError('The captions name no test split. Mark its videos "test", or give a list with --test-list.')
    training, validation = captions.split("train") or captions.split(""), captions.split("val")
    if not validation:
        training, validation = hold_out(training, SPLIT_SEED)
        tell(
            f"The captions name no validation split. {len(validation)} training videos are used for "
            "validation in every run."
        )
    if len(training) < 2:
        raise InputError(f"A comparison needs at least 2 videos to train on, found {len(training)}.")
    data = _digest(captions, features)
    read_by = ({} if sentences is None else {"sentences": sentences.name}) | (
        {} if glove is None else {"word vectors": file_digest(glove)}
    )
    settings = {model: {"data": data, **read_by, **plan.settings(model)} for model in plan.models}
    finished = {run: _read(_file(folder, *run), settings[run[0]]) for run in plan.runs()}
    if keeping is not None:
        finished = {run: result if keeping.has(*run) else None for run, result in finished.items()}
    if ready := sum(result is not None for result in finished.values()):
        tell(f"{ready} of {len(finished)} runs are already finished.")
    with FeatureSet(features) as file:
        training, validation, test = (
            file.with_features(videos, skip_missing, tell) for videos in (training, validation, test)
        )
    backbone = keeping.backbone(features, tell) if keeping is not None else None
    splits = None
    done: list[FinishedRun] = []
    for model, seed in plan.runs():
        result = finished[model, seed]
        if result is None:
            if splits is None:
                tell(f"Reading {len(training)} training, {len(validation)} validation and {len(test)} test videos.")
                splits = load(
                    (training, validation, test),
                    features,
                    plan.frames,
                    cache or folder,
                    tell,
                    sentences,
                    any(plan.changes_captions(name) for name in plan.models),
                )
            matcher, vocabularies, result = _run(model, seed, plan, settings[model], splits, folder, glove)
            if result is not None and keeping is not None:
                keeping.keep(model, seed, matcher, vocabularies, backbone, plan.frames, splits.text_tools)
            if result is not None:
                _write(_file(folder, model, seed), result)
        if result is not None and first:
            done.append(result)
            write_standings(folder, done, plan.against or plan.models[0])
            yield result


def load(
    splits: Sequence[Sequence[CaptionedVideo]],
    features: Sequence[Path],
    frames: int,
    cache: Path,
    tell: Tell,
    sentences: Sentences | None = None,
    changed: bool = False,
) -> Splits:
    """Features, at most `frames` rows of each video, and texts of splits. Raises InputError for missing features.

    `changed` also makes training captions with one thing changed.
    """
    with FeatureSet(features) as file:
        rows = [file.read([video.video for video in videos], frames) for videos in splits]
        files = file.dims
    parser, sentences = SpacyParser(), sentences or SentenceEncoder()
    texts = TextCache(cache, TextFeaturizer(parser, sentences), tell)
    featurize = partial(texts.texts, advance=lambda done, total: None)
    train, validation, test = (video_text(videos, own, featurize) for videos, own in zip(splits, rows, strict=True))
    train = with_changes(train, featurize) if changed else train
    tower = sentences.tower if isinstance(sentences, TwoTowerSentences) else None
    return Splits(train, validation, test, TextTools(parser.name, sentences.name), files, tower)


def _run(
    model: str,
    seed: int,
    plan: Plan,
    settings: dict[str, Any],
    splits: Splits,
    folder: Path,
    glove: Path | None,
) -> tuple[Matcher, Vocabularies, FinishedRun | None]:
    config = plan.training(model)
    logs = _file(folder, model, seed).with_suffix("")
    wall, cpu = time.perf_counter(), time.process_time()
    L.seed_everything(seed, verbose=False)
    # What is drawn for one model must not depend on which others are compared.
    train = splits.train if plan.changes_captions(model) else replace(splits.train, changed=None)
    vocabularies = vocabularies_of(train, config)
    words = None if glove is None else initial_words(glove, (text.parse for text in train.texts), seed)
    matcher = plan.contestant(model).build(Inputs(train, vocabularies, plan.width, splits.files, words, splits.tower))
    size = matcher.size
    history = fit_matcher(
        matcher, config, train, splits.validation, vocabularies, logs, seed, progress=False, resume=True
    )
    if not is_first_process():
        return matcher, vocabularies, None  # its weights are those of its last step, not of the best epoch
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sums = [epoch["fused"].sum_r for epoch in history]
    kept = kept_epoch(history, config.keep)
    measured, _ = matcher.measure(splits.test)
    test = {name: found.to_json() for name, found in measured.items()}
    test[DISTINCT] = _per_distinct_caption(matcher, splits.test).to_json()
    result = FinishedRun(
        model=model,
        seed=seed,
        settings=settings,
        parameters=size,
        epochs=len(sums),
        best_epoch=1 + kept,
        train_seconds=wall,
        train_cpu_seconds=cpu,
        validation_sum_r=sums[kept],
        test=test,
        by_video=video_counts(measured["fused"], splits.test.owner),
    )
    # Without --keep a comparison keeps figures: dozens of sets of weights would fill the disk.
    for path in logs.iterdir():
        if path.suffix in (".ckpt", ".pt"):
            path.unlink()
    return matcher, vocabularies, result


def _per_distinct_caption(matcher: Matcher, test: VideoText) -> Retrieval:
    """The fused score where a caption that several videos have is one query, and each of them is right."""
    scores = score_matrix(matcher, test)
    protocol = per_distinct_caption(test.owner, scores.shape[1], [text.parse.text for text in test.texts])
    (ranks,) = rank_all(GivenScores({FUSED: scores}), [protocol])[FUSED]
    return Retrieval.of(ranks)


def _write(file: Path, result: FinishedRun) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"format": FORMAT, **asdict(result)}, indent=1) + "\n", encoding="utf-8")
    temporary.replace(file)


def _file(folder: Path, model: str, seed: int) -> Path:
    return folder / "runs" / f"{model}-seed{seed}.json"


def _read(path: Path, settings: dict[str, Any]) -> FinishedRun | None:
    """The finished run in a file; None where there is no file."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError("another format")
        result = FinishedRun(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a result of a comparison ({error}). Delete it, or choose another --out."
        ) from error
    for name, value in settings.items():
        if result.settings.get(name) != value:
            raise InputError(f"{path} was made with other settings ({name}). Choose another --out, or delete the file.")
    return result


def _digest(captions: CaptionSet, features: Sequence[Path]) -> str:
    """Tells captions and features files apart, without reading gigabytes of features."""
    rows = [[video.video, video.split, *video.captions] for video in captions.videos]
    if absent := [path for path in features if not path.is_file()]:
        raise InputError(f"There is no features file {absent[0]}.")
    sizes = [path.stat().st_size for path in features]
    text = json.dumps([rows, sizes[0] if len(sizes) == 1 else sizes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
