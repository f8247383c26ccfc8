"""A published model as the trainer sees it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from model.baselines.baseline import Baseline, Encoded
from model.mcsan.text_features import TextFeatures
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import PairBatch
from model.training.loop.matcher import Matcher


class BaselineMatcher(Matcher):
    """Trains `model`."""

    def __init__(self, model: Baseline) -> None:
        super().__init__()
        self.model = model

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return self.model.encode_video(features, mask)

    def encode_text(self, text: TextTensors) -> Encoded:
        return self.model.encode_text(text)

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return self.model.scores(video, text)

    def objective(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        return self.model.objective(video, text, batch)

    def collate_text(self, texts: Sequence[TextFeatures]) -> TextTensors:
        return self.model.collate_text(texts)
