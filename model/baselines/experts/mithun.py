"""Mithun et al.: one space for what is there and one for what happens, each with a ranking loss that weighs by rank.

Mithun, Li, Metze, Roy-Chowdhury, "Learning Joint Embedding with Multimodal Cues for Cross-Modal Video-Text Retrieval",
ICMR 2018. In either space a video is a linear layer on its mean frame, a text one on the last state of a GRU, and the
similarity their cosine. The object space reads appearance (the first expert), the activity space the others side by
side. A pair whose own text, or video, has rank r among the N of its batch costs

    (1 + beta / (N - r + 1)) max(0, m + s(hardest negative) - s(pair)),   both ways, m = 0.2

and the two similarities are averaged.

Where this differs: words are given vectors; beta is 1; a single expert serves both spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded, Labels
from model.baselines.parts.sequence import RecurrentStates
from model.baselines.single_vector import MARGIN, VectorModel, cosine
from model.mcsan.layers import masked_mean
from model.mcsan.text_tower import TextTensors

DIM, BETA = 1024, 1.0


class Mithun(VectorModel):
    levels: ClassVar[Mapping[str, tuple[str, float]]] = {"object": ("object", 0.5), "activity": ("activity", 0.5)}

    def __init__(self, experts: Sequence[int], word_dim: int, dim: int = DIM) -> None:
        super().__init__(hardest=True, made_with={"experts": list(experts), "word_dim": word_dim, "dim": dim})
        self.experts = tuple(experts)
        motion = sum(experts[1:]) or experts[0]
        self.video = nn.ModuleDict({"object": nn.Linear(experts[0], dim), "activity": nn.Linear(motion, dim)})
        self.words = nn.ModuleDict({name: RecurrentStates(word_dim, dim, bidirectional=False) for name in self.levels})
        self.text = nn.ModuleDict({name: nn.Linear(dim, dim) for name in self.levels})

    def widths(self) -> dict[str, int]:
        return dict.fromkeys(self.levels, self.made_with["dim"])

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        frame = masked_mean(features, mask)
        first = self.experts[0]
        parts = {"object": frame[:, :first], "activity": frame[:, first:] if len(self.experts) > 1 else frame}
        return {name: embed(parts[name]) for name, embed in self.video.items()}

    def encode_text(self, text: TextTensors) -> Encoded:
        last = {name: words(text.words, text.word_mask)[1].flatten(1) for name, words in self.words.items()}
        return {name: embed(last[name]) for name, embed in self.text.items()}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return torch.stack([cosine(video[name], text[name]) for name in self.levels]).mean(0)

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        return {name: weighted_hinge(cosine(video[name], text[name]), batch.negatives) for name in self.levels}


def weighted_hinge(scores: Tensor, negatives: Tensor) -> Tensor:
    """The loss above of scores (B, B), mean over the pairs; `negatives` as in `hinge_loss`."""
    total = scores.new_zeros(())
    for own, wrong in ((scores, negatives), (scores.T, negatives.T)):
        lead = own - own.diagonal().unsqueeze(1)
        rank = 1 + ((lead > 0) & wrong).sum(1)
        cost = ((MARGIN + lead).clamp(min=0) * wrong).amax(1)
        total = total + ((1 + BETA / (len(own) - rank + 1)) * cost).mean()
    return total
