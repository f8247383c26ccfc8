"""Training and evaluating on captioned videos whose frame features are in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from model.language.sentence_encoder import SentenceEncoder, Sentences
from model.language.spacy_parser import load_parser
from model.language.word_vectors import initial_words
from model.levels import LEVEL_NAMES
from model.mcsan.checkpoint import Checkpoint, save_checkpoint
from model.mcsan.checkpoint_identity import WEIGHTS_FILE
from model.mcsan.config import Preset, TrainConfig
from model.mcsan.layers import pad_features
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures, TextFeaturizer
from model.registry import MODELS, checkpoint_folder, resolve_device
from model.training.data.caption_readers import CaptionSet
from model.training.data.dataset import CaptionedVideo, ChangedTexts, VideoText
from model.training.data.dataset_checks import (
    captions_digest,
    features_digest,
    file_digest,
    list_names,
    repeated_features,
)
from model.training.data.feature_set import FeatureSet
from model.training.data.splits import hold_out
from model.training.data.text_cache import Advance, TextCache
from model.training.loop.run_record import History, Run
from model.two_tower.encoder import SHARPNESS
from model.two_tower.prepared_models import MODELS_FOLDER
from model.two_tower.sentence_encoder import TwoTowerSentences
from model.two_tower.towers import TwoTower, TwoTowerConfig
from model.vision.backbones import Backbone
from model.vision.frame_networks import FrameNetwork, recorded_two_tower
from model.vision.recorded_sentences import load_sentences
from quartet.errors import InputError

Tell = Callable[[str], None]
"""Receives sentences about what was found and what is being done."""

Stage = Callable[[str], AbstractContextManager[Advance]]
"""Opens the display of a long stage by its name."""


def say_nothing(_: str) -> None:
    """For the processes next to the first one."""


@contextmanager
def no_progress(_: str) -> Iterator[Advance]:
    """A stage that shows nothing."""
    yield lambda done, total: None


def train_on_features(
    preset: Preset,
    captions: CaptionSet,
    features: Sequence[Path],
    folder: Path,
    seed: int,
    tell: Tell,
    backbone_weights: Path | None = None,
    progress: bool = True,
    glove: Path | None = None,
    parser: str | None = None,
    *,
    cache: Path | None = None,
    stage: Stage = no_progress,
    fresh: bool = False,
    skip_missing: bool = False,
    made_with: Mapping[str, Any] = MappingProxyType({}),
    models: Path = MODELS_FOLDER,
    sentence_model: str | None = None,
) -> History:
    """Train a checkpoint into `folder`; returns the validation metrics of every epoch.

    A run that was stopped is gone on with, a finished one is left as it is; `fresh` starts over. With
    `backbone_weights` the checkpoint also holds the network that made the features, and can index videos. Captions are
    kept encoded below `cache` (default: in the run's folder). `skip_missing` leaves out videos without features.
    With `glove` words start from that file's vectors and are fine-tuned, instead of coming from the sentence encoder.
    `parser` names the package of an installed spaCy pipeline; None is the bundled one. `made_with` says how the
    features were made, where that is part of the run. `models` is where two-tower models are kept. `sentence_model`
    reads the captions instead of MiniLM: a folder of sentence-transformers, or a prepared name.

    Raises InputError for captions or features that cannot be used, and for a folder that another run has begun.
    """
    from model.training.distributed import is_first_process
    from model.training.loop.single_run import fit

    spacy = load_parser(parser)  # before anything is read: a name that is wrong fails at once
    first = is_first_process()
    tell = tell if first else say_nothing
    logs = folder / "log"
    run = Run(logs, fresh, writes=first)
    if (folder / "config.json").exists() and not run.begun and not fresh:
        raise InputError(f"{folder} contains another checkpoint. Choose another --out, or replace it with --fresh.")
    weights = file_digest(weights_file(backbone_weights)) if backbone_weights else None
    arguments = {"seed": seed, "captions": captions_digest(captions.videos), "backbone weights": weights}
    arguments["word vectors"] = file_digest(glove) if glove else None
    run.agree(_flat(asdict(preset)) | arguments | dict(made_with))
    with FeatureSet(features) as file:
        preset = replace(preset, model=replace(preset.model, feature_dim=file.dim))
        splits = _training_splits(captions, file, skip_missing, seed, tell)
        backbone = backbone_of(file, backbone_weights, models)
        preset = _on_top_of(preset, backbone, file.name)
        rows = [file.read([video.video for video in videos], preset.model.frames) for videos in splits]
    run.agree({"frame features": features_digest([*rows[0], *rows[1]])})
    if run.history is not None:
        tell(f"{folder} is already finished. Start from the beginning with --fresh.")
        return run.history
    for note in repeated_features([*splits[0], *splits[1]], [*rows[0], *rows[1]]):
        tell(note)
    reader = _sentences(preset, backbone, resolve_device("auto"), sentence_model, models)
    preset = replace(preset, model=replace(preset.model, sentence_dim=reader.dim, word_dim=reader.dim))
    featurizer = TextFeaturizer(spacy, reader)
    run.agree({"parser": featurizer.parser.name, "sentence encoder": featurizer.sentences.name})
    texts = TextCache(cache or logs / "texts", featurizer, tell)
    run.begin()
    sentences = featurizer.sentences
    unfrozen = sentences if preset.unfreeze_text and isinstance(sentences, TwoTowerSentences) else None
    with_it = f", together with the text tower of {unfrozen.tower.config.two_tower}" if unfrozen else ""
    tell(f"Training on {len(splits[0])} videos, validating on {len(splits[1])}{with_it}.")
    _tell_epochs(preset.train, splits[0], tell)
    sets = _read_texts(splits, rows, texts, stage, bool(preset.loss.hard_negatives))
    words = None
    if glove is not None:
        words = initial_words(glove, (text.parse for text in sets[0].texts), seed)
        preset = replace(preset, model=replace(preset.model, words="glove", word_dim=words.dim))
        tell(f"{glove} has {words.given} of the words of the training captions; {len(words.vocabulary)} are trained.")
    model, vocabularies, history = fit(
        preset, sets[0], sets[1], logs, seed, progress, resume=True, words=words, sentences=unfrozen
    )
    _tell_fitted(preset, model, tell)
    if first:
        note = f"Trained on {len(splits[0])} videos with {len(sets[0].texts)} captions{with_it}."
        names = (featurizer.parser.name, featurizer.sentences.name)
        made = Checkpoint(folder.name, note, model, backbone, vocabularies, *names, unfrozen=unfrozen is not None)
        save_checkpoint(folder, made)
        run.finish(history)
    return history


def video_text(
    videos: Sequence[CaptionedVideo],
    rows: Sequence[Tensor],
    featurize: Callable[[list[str]], Sequence[TextFeatures]],
) -> VideoText:
    """Videos with their features `rows` and the texts that `featurize` makes of their captions."""
    features, mask = pad_features(rows)
    owner = np.repeat(np.arange(len(videos)), [len(video.captions) for video in videos])
    return VideoText(features, mask, featurize([caption for video in videos for caption in video.captions]), owner)


def _read_texts(
    splits: Sequence[Sequence[CaptionedVideo]],
    rows: Sequence[Sequence[Tensor]],
    texts: TextCache,
    stage: Stage,
    changed: bool,
) -> list[VideoText]:
    """Training and validation videos with their texts; `changed` adds training captions with one thing changed."""
    sets = []
    for name, videos, own in zip(("training", "validation"), splits, rows, strict=True):
        with stage(f"Sentences, {name}") as advance:
            sets.append(video_text(videos, own, partial(texts.texts, advance=advance)))
    if changed:
        with stage("Sentences, one thing changed") as advance:
            sets[0] = with_changes(sets[0], partial(texts.texts, advance=advance))
    return sets


def with_changes(data: VideoText, featurize: Callable[[list[str]], Sequence[TextFeatures]]) -> VideoText:
    """The same with captions that have one thing changed, for `LossConfig.hard_negatives`."""
    return replace(data, changed=ChangedTexts.of(data.texts, data.owner, featurize))


def _training_splits(
    captions: CaptionSet, file: FeatureSet, skip_missing: bool, seed: int, tell: Tell
) -> tuple[list[CaptionedVideo], list[CaptionedVideo]]:
    """The videos to train and to validate on, all with features; `tell` gets what is left out."""
    unnamed, training, validation = (captions.split(name) for name in ("", "train", "val"))
    if training and unnamed:
        tell(
            list_names(
                "videos left out because they have no split and others have one", [video.video for video in unnamed]
            )
        )
    training = training or unnamed
    if test := captions.split("test"):
        tell(f"{len(test)} test videos are left out of training.")
    training, validation = (file.with_features(videos, skip_missing, tell) for videos in (training, validation))
    if not validation and len(training) > 1:
        training, validation = hold_out(training, seed)
        tell(
            f"The captions name no validation split. {len(validation)} random training videos are used for validation."
        )
    if len(validation) == 1:
        tell("The validation split has a single video. It cannot show which epoch is best or whether a level fails.")
    if len(training) < 2:
        raise InputError(f"Training needs at least 2 videos besides the validation videos, found {len(training)}.")
    return training, validation


def _tell_epochs(config: TrainConfig, videos: Sequence[CaptionedVideo], tell: Tell) -> None:
    """Say why there are more epochs than the preset has."""
    captions = sum(len(video.captions) for video in videos)
    epochs = config.epochs_for(len(videos), captions)
    if epochs > config.epochs:
        tell(
            f"{captions / len(videos):.1f} captions per video: training takes {epochs} epochs instead of "
            f"{config.epochs}. Choose another number with --epochs."
        )


def _tell_fitted(preset: Preset, model: MCSAN, tell: Tell) -> None:
    """Say what was chosen by the data; the checkpoint's config.json and weights record it."""
    if preset.train.fit_dropout:
        tell(f"Input dropout fitted to the training data: {model.config.input_dropout:g}.")
    if preset.train.fit_weights:
        weights = zip(LEVEL_NAMES, model.level_weights().tolist(), strict=True)
        tell("Level weights fitted to the validation data: " + ", ".join(f"{n} {w:.2f}" for n, w in weights) + ".")


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _on_top_of(preset: Preset, network: FrameNetwork | None, features: str) -> Preset:
    """The preset for a two-tower model: all vectors in its space, the head at the scores of zero-shot search."""
    if preset.texts != "two-tower":
        return preset
    if not isinstance(network, TwoTower):
        raise InputError(
            f"The preset clip needs frame features of a two-tower model, but {features} has others. Create "
            "them with: quartet features VIDEOS --model NAME --out FILE"
        )
    dim = network.feature_dim
    bias = -SHARPNESS * network.centre
    model = replace(preset.model, sentence_dim=dim, word_dim=dim, head_scale=SHARPNESS, head_bias=bias)
    return replace(preset, model=model)


def _sentences(preset: Preset, network: FrameNetwork | None, device: str, other: str | None, models: Path) -> Sentences:
    if other is not None and preset.texts == "two-tower":
        raise InputError("--sentence-model does not go with a preset whose captions a two-tower model reads.")
    if other is not None:
        return load_sentences(other, models, device)
    if preset.texts == "two-tower" and isinstance(network, TwoTower):
        return TwoTowerSentences(network.to(device))
    return SentenceEncoder(device)


def backbone_of(file: FeatureSet, weights: Path | None, models: Path) -> FrameNetwork | None:
    """The network that made the features; None where neither they nor `weights` say.

    `weights` are a torchvision state dict, or a checkpoint that holds the backbone: its folder, or "demo".
    Raises InputError where the weights do not go with the features.
    """
    if isinstance(file.backbone, TwoTowerConfig):
        if weights is not None:
            raise InputError(
                f"{file.name} contains features of {file.backbone.two_tower}. Leave out --backbone-weights."
            )
        return recorded_two_tower(file.backbone, models)
    if weights is None:
        return None
    if file.backbone is None:
        raise InputError(f"{file.name} does not name its backbone. Create it with `quartet features`.")
    backbone = Backbone(file.backbone)
    backbone.load_weights(weights_file(weights))
    if backbone.feature_dim != file.dim:
        raise InputError(
            f"{file.name} holds features of width {file.dim}, but its backbone {file.backbone.arch} makes "
            f"{backbone.feature_dim} values per frame."
        )
    return backbone.eval()


def weights_file(weights: Path) -> Path:
    """Where the weights of a backbone are: the file itself, or that of a checkpoint by folder or name."""
    named = weights.is_dir() or (str(weights) in MODELS and not weights.exists())
    return checkpoint_folder(weights) / WEIGHTS_FILE if named else weights
