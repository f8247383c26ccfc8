"""Scores of a checkpoint on captioned videos whose frame features are in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from model.baselines.checkpoint import load_baseline
from model.baselines.single_vector import VectorModel
from model.evaluation.scores import LevelScores
from model.language.spacy_parser import recorded_parser
from model.levels import Vectors
from model.mcsan.checkpoint import Checkpoint, load_checkpoint
from model.mcsan.text_features import TextFeatures, TextFeaturizer
from model.registry import holds_baseline
from model.training.data.dataset import CaptionedVideo
from model.training.data.feature_set import FeatureSet
from model.training.data.text_cache import TextCache
from model.training.loop.baseline_matcher import vector_queries, vector_scores
from model.training.loop.feature_training import Tell, say_nothing, video_text
from model.training.loop.validation import level_scores, text_queries
from model.two_tower.prepared_models import MODELS_FOLDER
from model.two_tower.towers import TwoTower
from model.vision.recorded_sentences import recorded_sentences
from quartet.errors import InputError


class FeatureScores(NamedTuple):
    """Scores, the checkpoint that gave them, and what makes query vectors of other texts."""

    scores: LevelScores
    checkpoint: Checkpoint[Any]
    encode: Callable[[Sequence[str]], Vectors]


def scores_on_features(
    checkpoint: Path,
    videos: Sequence[CaptionedVideo],
    features: Sequence[Path],
    device: str = "cpu",
    models: Path = MODELS_FOLDER,
    cache: Path | None = None,
    tell: Tell = say_nothing,
) -> FeatureScores:
    """Scores of all captions, in the order of the videos, against the videos, whose features are in files.

    Encoded captions are kept below `cache`, if it is given. Raises InputError for features of another width than the
    checkpoint's, ModelError for another parser.
    """
    loaded: Checkpoint[Any]
    if holds_baseline(checkpoint):
        loaded, frames = load_baseline(checkpoint, models)
        expected = loaded.model.feature_dim
    else:
        loaded = load_checkpoint(checkpoint, models)
        frames, expected = loaded.model.config.frames, loaded.model.config.feature_dim
    if isinstance(loaded.backbone, TwoTower):
        loaded.backbone.to(device)
    sentences = recorded_sentences(loaded.sentence_encoder, lambda: loaded.backbone, device, checkpoint, models=models)
    featurizer = TextFeaturizer(recorded_parser(loaded.parser, checkpoint), sentences)
    with FeatureSet(features) as file:
        if file.dim != expected:
            raise InputError(f"{file.name} holds features of width {file.dim}, the checkpoint needs {expected}.")
        rows = file.read([video.video for video in videos], frames)
    featurize: Callable[[list[str]], Sequence[TextFeatures]] = featurizer
    if cache is not None:
        featurize = partial(TextCache(cache, featurizer, tell).texts, advance=lambda done, total: None)
    data = video_text(videos, rows, featurize)
    model = loaded.model.to(device)
    if isinstance(model, VectorModel):
        scores, queries = vector_scores(model, data), partial(vector_queries, model)
    else:
        scores, queries = level_scores(model, data), partial(text_queries, model)
    return FeatureScores(scores, loaded, lambda texts: queries(featurize([*texts])))
