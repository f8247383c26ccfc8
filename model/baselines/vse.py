"""VSE and VSE++: a video is the mean of its frames, a text the last state of a GRU.

VSE:   Kiros, Salakhutdinov, Zemel, "Unifying Visual-Semantic Embeddings with Multimodal Neural Language Models", 2014.
VSE++: Faghri, Fleet, Kiros, Fidler, "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives", BMVC 2018.
They differ in the loss alone: the sum over all negatives of max(0, m + s(negative) - s(pair)), or its maximum. The
joint space has 1024 dimensions, as in the release. Here words are given vectors instead of a learned embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from model.baselines.baseline import Encoded
from model.baselines.parts.sequence import RecurrentStates
from model.baselines.single_vector import VectorModel
from model.mcsan.layers import masked_mean
from model.mcsan.text_tower import TextTensors

DIM = 1024


class VSE(VectorModel):
    """`hardest` makes it VSE++."""

    def __init__(self, feature_dim: int, word_dim: int, hardest: bool, dim: int = DIM) -> None:
        super().__init__(hardest, {"feature_dim": feature_dim, "word_dim": word_dim, "hardest": hardest, "dim": dim})
        self.video = nn.Linear(feature_dim, dim)
        self.text = RecurrentStates(word_dim, dim, bidirectional=False)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"]}

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        return {"vector": self.video(masked_mean(features, mask))}

    def encode_text(self, text: TextTensors) -> Encoded:
        _, last = self.text(text.words, text.word_mask)
        return {"vector": last.flatten(1)}
