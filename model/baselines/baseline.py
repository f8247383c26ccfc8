"""What a published model is made of: an encoder for each side, the score of a pair, and its training objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors

Encoded = dict[str, Tensor]
"""One side of a batch as a model sees it: named tensors, one row per video or text."""


class Labels(Protocol):
    """What an objective asks of B pairs.

    owner, wording             (B,) numbers of the video and of the caption's words
    negatives                  (B, B) bool, which pairs of a video and a text do not belong together
    text_labels, video_labels  concepts of each, (B, K) by level
    """

    @property
    def owner(self) -> Tensor: ...

    @property
    def wording(self) -> Tensor: ...

    @property
    def negatives(self) -> Tensor: ...

    @property
    def text_labels(self) -> dict[str, Tensor]: ...

    @property
    def video_labels(self) -> dict[str, Tensor]: ...


class Baseline(nn.Module, ABC):
    """A model that scores every video with every text. It encodes the two sides apart."""

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
    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        """The weighted terms of the training objective, by name; row i of both sides is pair i of `batch`."""

    def collate_text(self, texts: Sequence[TextFeatures]) -> TextTensors:
        """Captions as padded tensors for `encode_text`."""
        return collate(texts)
