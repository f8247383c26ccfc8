"""Training and evaluating on captioned videos whose frame features lie in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model.backbones import Backbone
from model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.config import Preset
from model.errors import InputError
from model.evaluation.metrics import Retrieval
from model.evaluation.scores import LevelScores
from model.parser import load_parser, recorded_parser
from model.sentence import SentenceEncoder
from model.text_features import TextFeaturizer
from model.training.dataset import CaptionedVideo, VideoText
from model.training.feature_file import FeatureFile
from model.training.fit import fit
from model.training.readers import CaptionSet
from model.training.splits import hold_out
from model.training.validation import level_scores
from model.words import initial_words

Tell = Callable[[str], None]
"""Receives sentences about what was found and what is being done."""


def train_on_features(
    preset: Preset,
    captions: CaptionSet,
    features: Path,
    folder: Path,
    seed: int,
    tell: Tell,
    backbone_weights: Path | None = None,
    progress: bool = True,
    glove: Path | None = None,
    parser: str | None = None,
) -> list[dict[str, Retrieval]]:
    """Train a checkpoint into `folder`; returns the validation metrics of every epoch.

    `parser` names the package of an installed spaCy pipeline; None is the bundled one.
    With `backbone_weights` the checkpoint also holds the network that made the features, and can index videos. With
    `glove` words start from that file's vectors and are fine-tuned, instead of coming from the sentence encoder.
    Raises InputError for captions or features that cannot be used.
    """
    training, validation = _training_splits(captions, seed, tell)
    featurizer = TextFeaturizer(load_parser(parser), SentenceEncoder())
    with FeatureFile(features) as file:
        preset = replace(preset, model=replace(preset.model, feature_dim=file.dim))
        backbone = _backbone(file, backbone_weights)
        tell(f"Reading {len(training)} training and {len(validation)} validation videos.")
        sets = [_load(videos, file, featurizer, preset.model.frames) for videos in (training, validation)]
    words = None
    if glove is not None:
        words = initial_words(glove, (text.parse for text in sets[0].texts), seed)
        preset = replace(preset, model=replace(preset.model, words="glove", word_dim=words.dim))
        tell(f"{glove} has {words.given} of the words of the training captions; {len(words.vocabulary)} are trained.")
    model, vocabularies, history = fit(preset, sets[0], sets[1], folder / "log", seed, progress, words)
    note = f"Trained on {len(training)} videos with {len(sets[0].texts)} captions."
    names = (featurizer.parser.name, featurizer.sentences.name)
    save_checkpoint(folder, Checkpoint(folder.name, note, model, backbone, vocabularies, *names))
    return history


def scores_on_features(
    checkpoint: Path, videos: Sequence[CaptionedVideo], features: Path, device: str = "cpu"
) -> tuple[LevelScores, Checkpoint]:
    """Scores of all captions, in the order of the videos, against the videos, whose features lie in a file.

    Raises InputError for features of another width than the checkpoint's, ModelError for another parser.
    """
    loaded = load_checkpoint(checkpoint)
    featurizer = TextFeaturizer(recorded_parser(loaded.parser, checkpoint), SentenceEncoder(device))
    with FeatureFile(features) as file:
        expected = loaded.model.config.feature_dim
        if file.dim != expected:
            raise InputError(f"{features} holds features of width {file.dim}, the checkpoint needs {expected}.")
        data = _load(videos, file, featurizer, loaded.model.config.frames)
    return level_scores(loaded.model.to(device), data), loaded


def _load(videos: Sequence[CaptionedVideo], file: FeatureFile, featurizer: TextFeaturizer, frames: int) -> VideoText:
    rows = file.read([video.video for video in videos], frames)
    encoded = iter(featurizer([caption for video in videos for caption in video.captions]))
    return VideoText.build(rows, [[next(encoded) for _ in video.captions] for video in videos])


def _training_splits(captions: CaptionSet, seed: int, tell: Tell) -> tuple[list[CaptionedVideo], list[CaptionedVideo]]:
    training, validation = captions.split("train"), captions.split("val")
    if not training:
        training = captions.split("")
    if not validation:
        training, validation = hold_out(training, seed)
        tell(f"The captions name no validation split: {len(validation)} training videos, drawn by the seed, validate.")
    if len(training) < 2:
        raise InputError(f"Training needs at least 2 videos, found {len(training)}.")
    return training, validation


def _backbone(file: FeatureFile, weights: Path | None) -> Backbone | None:
    if weights is None:
        return None
    if file.backbone is None:
        raise InputError(f"{file.path} does not say which backbone made it. Make it with `quartet features`.")
    backbone = Backbone(file.backbone)
    backbone.load_weights(weights)
    return backbone.eval()
