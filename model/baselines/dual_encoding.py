"""Dual Encoding: both sides are encoded at three levels in the same way, and the levels are concatenated.

Dong, Li, Xu, Ji, He, Yang, Wang, "Dual Encoding for Zero-Example Video Retrieval", CVPR 2019, sections 3.1 to 3.3.
With h_t the states of a BiGRU over frames, or over words, x_t:

    f = [ mean_t x_t ;  mean_t h_t ;  max_t ReLU(conv_k(h))_t for k = 2, 3, 4, 5 ]       vector = BN(W f + b)

where a word's x_t in the first part is its one-hot vector. The score is the cosine; the loss is the hardest negative,
both ways. Widths are those of the release of the journal version (IEEE TPAMI 2022), whose text side stops at k = 4.
Here words are given vectors instead of a learned embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded
from model.baselines.parts.bag_of_words import BagOfWords, BagTensors
from model.baselines.parts.sequence import ConvolutionMax, RecurrentStates
from model.baselines.single_vector import DROPOUT, VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.text_features import TextFeatures
from model.mcsan.text_tower import TextTensors

DIM, HIDDEN, FILTERS, KERNELS = 1536, 512, 512, (2, 3, 4, 5)


class ThreeLevels(nn.Module):
    """Sequence (B, N, d_in), mask (B, N) and level 1 (B, first) -> the three levels side by side (B, `dim`)."""

    def __init__(self, in_dim: int, first: int, hidden: int, filters: int) -> None:
        super().__init__()
        self.states = RecurrentStates(in_dim, hidden, bidirectional=True)
        self.neighbours = ConvolutionMax(2 * hidden, filters, KERNELS)
        self.dropout = nn.Dropout(DROPOUT)
        self.dim = first + 2 * hidden + len(KERNELS) * filters

    def forward(self, x: Tensor, mask: Tensor, first: Tensor) -> Tensor:
        states, _ = self.states(x, mask)
        second, third = masked_mean(states, mask), self.neighbours(states, mask)
        return torch.cat([self.dropout(second), self.dropout(third), first], 1)


class DualEncoding(VectorModel):
    """Reads the bags of `bag` in addition to word vectors."""

    def __init__(
        self,
        feature_dim: int,
        word_dim: int,
        bag: BagOfWords,
        dim: int = DIM,
        hidden: int = HIDDEN,
        filters: int = FILTERS,
    ) -> None:
        widths = {"dim": dim, "hidden": hidden, "filters": filters}
        super().__init__(
            hardest=True, made_with={"feature_dim": feature_dim, "word_dim": word_dim, "bag": bag, **widths}
        )
        self.bag = bag
        self.video = ThreeLevels(feature_dim, feature_dim, hidden, filters)
        self.text = ThreeLevels(word_dim, bag.size, hidden, filters)
        self.video_space = common_space(self.video.dim, dim)
        self.text_space = common_space(self.text.dim, dim)

    def collate_text(self, texts: Sequence[TextFeatures]) -> BagTensors:
        return self.bag.collate(texts)

    def video_levels(self, features: Tensor, mask: Tensor) -> Tensor:
        """The three levels of B videos, (B, d)."""
        return self.video(features, mask, masked_mean(features, mask))

    def text_levels(self, text: TextTensors) -> Tensor:
        """The three levels of B texts, (B, d)."""
        assert isinstance(text, BagTensors)
        words = text.word_mask.sum(1, keepdim=True).clamp(min=1)
        return self.text(text.words, text.word_mask, text.bag / words)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": self.video_space(self.video_levels(features, mask))}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": self.text_space(self.text_levels(text))}


def common_space(in_dim: int, dim: int) -> nn.Sequential:
    """A linear layer with batch normalisation and dropout."""
    linear = nn.Linear(in_dim, dim)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.BatchNorm1d(dim), nn.Dropout(DROPOUT))
