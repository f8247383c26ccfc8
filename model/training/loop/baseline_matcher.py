"""A published model as the trainer sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from model.baselines.baseline import Baseline, Encoded
from model.baselines.single_vector import VectorModel
from model.evaluation.scores import LevelScores
from model.language.word_vectors import InitialWords, WordEmbedding
from model.levels import Vectors
from model.mcsan.layers import unit
from model.mcsan.text_features import TextFeatures
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import PairBatch
from model.training.data.dataset import VideoText
from model.training.loop.matcher import Matcher


class BaselineMatcher(Matcher):
    """Trains `model`, and with `words` also word vectors that start there."""

    def __init__(self, model: Baseline, words: InitialWords | None = None) -> None:
        super().__init__()
        self.model = model
        self.embedding = None
        if words is not None:
            self.embedding = WordEmbedding(words.vocabulary, words.dim)
            words.copy_to(self.embedding)

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return self.model.encode_video(features, mask)

    def encode_text(self, text: TextTensors) -> Encoded:
        if self.embedding is not None:
            text = replace(text, words=self.embedding(text.tokens, text.word_mask))
        return self.model.encode_text(text)

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return self.model.scores(video, text)

    def objective(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        return self.model.objective(video, text, batch)

    def collate_text(self, texts: Sequence[TextFeatures]) -> TextTensors:
        return self.model.collate_text(texts)


BATCH = 128
"""Videos, and texts, encoded together."""


@torch.inference_mode()
def vector_scores(model: VectorModel, data: VideoText) -> LevelScores:
    """Scores of every text of `data` with every video, by the vectors that an index would hold."""
    model.eval()
    device = next(model.parameters()).device
    videos = [
        unit(model.named(model.encode_video(features.to(device), mask.to(device))))
        for features, mask in zip(data.features.split(BATCH), data.frame_mask.split(BATCH), strict=True)
    ]
    return LevelScores(model.level_specs(), vector_queries(model, data.texts), _joined(videos))


@torch.inference_mode()
def vector_queries(model: VectorModel, texts: Sequence[TextFeatures]) -> Vectors:
    """Query vectors of texts for clips; the model must not be training."""
    device = next(model.parameters()).device
    batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
    return _joined([unit(model.named(model.encode_text(model.collate_text(own).to(device)))) for own in batches])


def _joined(parts: Sequence[Encoded]) -> Vectors:
    return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}
