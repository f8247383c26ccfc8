"""What the trainer asks of a model that matches videos with texts, and how such a model is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded
from model.evaluation.metrics import Retrieval, retrieval
from model.evaluation.scores import Scores
from model.mcsan.config import TrainConfig
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.training.data.batches import PairBatch
from model.training.data.dataset import VideoText
from model.training.distributed import gather_rows

Measured = tuple[dict[str, Retrieval], dict[str, float]]
"""Metrics of the score that ranks ("fused") and of every level alone, and the spread of each level's scores."""

VIDEOS, TEXTS = 128, 256  # per block of scores


class Matcher(nn.Module, ABC):
    """A model that scores every video with every text.

    The trainer minimises the sum of `losses`, ranks by `scores` and keeps the epoch that ranks best. A model encodes
    the two sides apart, so the objective sees nothing but encodings and labels.
    """

    @abstractmethod
    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        """Frame features (B, N, D_v) and the mask (B, N) of real frames -> encodings of B videos."""

    @abstractmethod
    def encode_text(self, text: TextTensors) -> Encoded:
        """Encodings of B texts."""

    @abstractmethod
    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        """The score that ranks, of every video with every text: (B_v, B_t)."""

    @abstractmethod
    def objective(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        """The weighted terms of the training objective, by name; row i of both sides is pair i of `batch`."""

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """The weighted terms of the training objective, by name, over the pairs of all processes."""
        own = self.encode_video(batch.features, batch.frame_mask), self.encode_text(batch.text)
        video, text = gather_rows(tuple(single(side) for side in own))
        # The towers may run in half precision; what they are compared by does not.
        with torch.autocast(self.device.type, enabled=False):
            terms = self.objective(video, text, batch.gathered())
        return terms | self.own_terms(*own, batch)

    def own_terms(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        """Further terms, of the pairs of this process one by one: they need no other pair."""
        return {}

    def collate_text(self, texts: Sequence[TextFeatures]) -> TextTensors:
        """Captions as padded tensors for `encode_text`."""
        return collate(texts)

    def finish(self, train: VideoText) -> bool:
        """Fit to the training data what needs a trained model; whether the model is another one now."""
        return False

    def measure(self, data: VideoText, fit: bool = False) -> Measured:
        """Metrics on `data`. A model of several levels also tells those of each level alone.

        fit  first set what the model fits to validation data, such as the weights of its levels: never on test data
        """
        return {"fused": retrieval(score_matrix(self, data), data.owner)}, {}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """What training changes, for the optimiser. A group may have an `lr` and a `weight_decay` of its own."""
        return decayed([p for p in self.parameters() if p.requires_grad])

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def size(self) -> int:
        """The number of parameters that training changes."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def decayed(parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """Groups for an optimiser: matrices decay as it says; biases, norms and temperatures keep their size."""
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = ({"params": matrices}, {"params": others, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


@torch.inference_mode()
def score_matrix(matcher: Matcher, data: VideoText) -> Scores:
    """Scores (texts, videos) of a whole split, block by block: memory has the matrix and one block of texts."""
    was_training = matcher.training
    matcher.eval()
    device = matcher.device
    # Blocks hold videos, and texts, of like length: there is little padding to compute on.
    lengths = data.frame_mask.sum(1)
    blocks = []
    for rows in lengths.argsort().split(VIDEOS):
        longest = int(lengths[rows].max())
        features, mask = data.features[rows, :longest], data.frame_mask[rows, :longest]
        blocks.append((rows.numpy(), matcher.encode_video(features.to(device), mask.to(device))))
    order = np.argsort([len(text.parse.words) for text in data.texts], kind="stable")
    matrix = np.empty((len(data.texts), len(data.features)), np.float32)
    for start in range(0, len(order), TEXTS):
        chosen = order[start : start + TEXTS]
        text = matcher.encode_text(matcher.collate_text([data.texts[i] for i in chosen]).to(device))
        for columns, video in blocks:
            matrix[np.ix_(chosen, columns)] = matcher.scores(video, text).T.float().cpu().numpy()
    matcher.train(was_training)
    return matrix


def single(side: Encoded) -> Encoded:
    """Half precision to single; masks stay what they are."""
    return {
        n: x.to(torch.promote_types(x.dtype, torch.float32)) if x.is_floating_point() else x for n, x in side.items()
    }
