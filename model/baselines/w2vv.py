"""W2VV: a sentence is turned into the frame features of its video. The video side has nothing to learn.

Dong, Li, Snoek, "Predicting Visual Features from Text for Image and Video Caption Retrieval", IEEE Transactions on
Multimedia 2018. A text is read at three scales and predicts the mean frame by a perceptron of one hidden layer,

    r = W2 ReLU(W1 [ bag of words ; mean of word vectors ; last GRU state ] + b1) + b2,   loss = |r - mean frame|^2

with widths of 1024 for the GRU and 1000 for the hidden layer. The score is the cosine.

Where this differs: the word vectors are given; the last layer is linear, where the paper ends in a ReLU because its
features are never negative; the optimiser is the trainer's instead of RMSprop.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded, Labels
from model.baselines.parts.bag_of_words import BagOfWords, BagTensors
from model.baselines.parts.sequence import RecurrentStates
from model.baselines.single_vector import DROPOUT, VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.text_features import TextFeatures
from model.mcsan.text_tower import TextTensors

STATES, HIDDEN = 1024, 1000


class W2VV(VectorModel):
    """Reads the bags of `bag` in addition to word vectors."""

    def __init__(
        self, feature_dim: int, word_dim: int, bag: BagOfWords, states: int = STATES, hidden: int = HIDDEN
    ) -> None:
        given = {"feature_dim": feature_dim, "word_dim": word_dim, "bag": bag, "states": states, "hidden": hidden}
        super().__init__(hardest=True, made_with=given)
        self.bag = bag
        self.gru = RecurrentStates(word_dim, states, bidirectional=False)
        self.text = nn.Sequential(
            nn.Linear(bag.size + word_dim + states, hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, feature_dim),
        )

    def collate_text(self, texts: Sequence[TextFeatures]) -> BagTensors:
        return self.bag.collate(texts)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["feature_dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": masked_mean(features, mask)}

    def encode_text(self, text: TextTensors) -> Encoded:
        assert isinstance(text, BagTensors)
        _, last = self.gru(text.words, text.word_mask)
        return {"vector": self.text(torch.cat([text.bag, masked_mean(text.words, text.word_mask), last.flatten(1)], 1))}

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        return {"distance": fn.mse_loss(text["vector"], video["vector"])}
