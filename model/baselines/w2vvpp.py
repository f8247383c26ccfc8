"""W2VV++: a sentence is encoded at three scales into the space of the video, and learns from text to video alone.

Li, Xu, Yang, Chen, Li, "W2VV++: Fully Deep Learning for Ad-hoc Video Search", ACM Multimedia 2019. The text is

    tanh(W [ mean of GRU states ; mean of word vectors ; bag of words ] + b)

and the video the same layer on the mean of its frames, both with 2048 dimensions as in the release. The score is the
cosine; the loss is max(0, m + s(hardest wrong video) - s(own video)) for each text. Here the word vectors are given,
and the optimiser is the trainer's instead of RMSprop.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded, Labels
from model.baselines.parts.bag_of_words import BagOfWords, BagTensors
from model.baselines.parts.sequence import RecurrentStates
from model.baselines.single_vector import DROPOUT, MARGIN, VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.text_features import TextFeatures
from model.mcsan.text_tower import TextTensors

HIDDEN, DIM = 1024, 2048


class W2VVPlusPlus(VectorModel):
    """Reads the bags of `bag` in addition to word vectors."""

    def __init__(self, feature_dim: int, word_dim: int, bag: BagOfWords, hidden: int = HIDDEN, dim: int = DIM) -> None:
        given = {"feature_dim": feature_dim, "word_dim": word_dim, "bag": bag, "hidden": hidden, "dim": dim}
        super().__init__(hardest=True, made_with=given)
        self.bag = bag
        self.gru = RecurrentStates(word_dim, hidden, bidirectional=False)
        self.text = _layer(bag.size + word_dim + hidden, dim)
        self.video = _layer(feature_dim, dim)

    def collate_text(self, texts: Sequence[TextFeatures]) -> BagTensors:
        return self.bag.collate(texts)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": self.video(masked_mean(features, mask))}

    def encode_text(self, text: TextTensors) -> Encoded:
        assert isinstance(text, BagTensors)
        states, _ = self.gru(text.words, text.word_mask)
        scales = [masked_mean(states, text.word_mask), masked_mean(text.words, text.word_mask), text.bag]
        return {"vector": self.text(torch.cat(scales, 1))}

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        scores = self.scores(video, text)
        cost = (MARGIN + scores - scores.diagonal()).clamp(min=0) * batch.negatives  # text j, wrong video i
        return {"rank": cost.amax(0).mean()}


def _layer(in_dim: int, dim: int) -> nn.Sequential:
    linear = nn.Linear(in_dim, dim)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.Tanh(), nn.Dropout(DROPOUT))
