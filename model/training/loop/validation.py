"""Measuring MCSAN: vectors of a whole split, one matrix product per level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from model.evaluation.metrics import Retrieval, evaluate_scores
from model.evaluation.scores import LevelScores
from model.levels import Vectors
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures
from model.training.data.dataset import VideoText
from model.training.fitting.level_weights import fit_level_weights
from model.training.fitting.split_vectors import encode_text_features, encode_videos
from model.training.loop.level_health import spreads


@torch.inference_mode()
def fold_text_queries(model: MCSAN, vectors: Vectors) -> Vectors:
    """Gallery vectors of texts -> query vectors for clips: the head folded into the global level."""
    folded = model.head.fold_text(torch.from_numpy(vectors["global"]).to(model.log_weights.device))
    return {**vectors, "global": folded.float().cpu().numpy()}


def text_queries(model: MCSAN, texts: Sequence[TextFeatures]) -> Vectors:
    """Query vectors of texts for clips; the model must not be training."""
    return fold_text_queries(model, encode_text_features(model, texts))


def level_scores(model: MCSAN, data: VideoText) -> LevelScores:
    """Scores of every text of `data` with every video, by the vectors that an index would hold."""
    was_training = model.training
    model.eval()
    videos = encode_videos(model, data.features, data.frame_mask)
    queries = text_queries(model, data.texts)
    model.train(was_training)
    return LevelScores(model.level_specs(), queries, videos)


def validate(model: MCSAN, data: VideoText, fit_weights: bool = False) -> tuple[dict[str, Retrieval], dict[str, float]]:
    """Metrics on `data`, fused and per level, and the spread (standard deviation) of each level's scores.

    `fit_weights` first sets the weights of the levels to those that fit `data` best.
    """
    scores = level_scores(model, data)
    if fit_weights:
        model.log_weights.data.copy_(fit_level_weights(scores, data.owner))
        scores = replace(scores, specs=model.level_specs())
    # A level that is switched off has weight 0 and no scores to tell about.
    used = [spec for spec in scores.specs if spec.weight]
    return evaluate_scores(scores, data.owner), spreads(used, scores.text_queries, scores.clips)
