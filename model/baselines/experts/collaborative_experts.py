"""CE: experts that look at each other before they are compared with a text.

Liu, Albanie, Nagrani, Zisserman, "Use What You Have: Video Retrieval Using Representations From Collaborative Experts",
BMVC 2019. The mean frame of every expert is projected to one width, Psi_n; what the others know opens or shuts it,

    Psi'_n = Psi_n * sigmoid( h( sum_{m != n} g(Psi_n, Psi_m) ) )                         psi_n = GEU_n(Psi'_n)

and a text is a NetVLAD of its words (Arandjelovic et al. 2016): with a = softmax over the clusters of (A x + a_0),

    V_k = sum_x a_k(x) (x - c_k), each of length 1, side by side, of length 1 again.

Scores and weights are those of `gated_embedding.py`; the loss is the sum of hinges with a margin of 0.2. An expert that
stands alone sees no other and is left as it is.

Where this differs: words are given vectors; g and h have one hidden layer; every expert is pooled by its mean, and
every video has every expert.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded
from model.baselines.experts.gated_embedding import ExpertModel, ExpertText, GatedEmbedding
from model.mcsan.layers import masked_mean
from model.mcsan.text_tower import TextTensors

DIM, CLUSTERS = 768, 20


class NetVLAD(nn.Module):
    """(B, M, d) and mask (B, M) -> (B, clusters * d), of length 1; zeros for a row without elements."""

    def __init__(self, dim: int, clusters: int) -> None:
        super().__init__()
        self.assign = nn.Linear(dim, clusters)
        self.centres = nn.Parameter(torch.randn(clusters, dim) / dim**0.5)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        share = self.assign(x).softmax(2) * mask.unsqueeze(2)  # (B, M, K)
        residuals = share.transpose(1, 2) @ x - share.sum(1).unsqueeze(2) * self.centres
        return fn.normalize(fn.normalize(residuals, dim=2).flatten(1), dim=1)


class CollaborativeExperts(ExpertModel):
    margin: ClassVar[float] = 0.2

    def __init__(self, experts: Sequence[int], word_dim: int, dim: int = DIM) -> None:
        super().__init__(experts, dim, word_dim=word_dim)
        self.project = nn.ModuleList(nn.Linear(width, dim) for width in experts)
        if len(experts) > 1:
            self.pair = _perceptron(2 * dim, dim)
            self.open = _perceptron(dim, dim)
        self.embed = nn.ModuleList(GatedEmbedding(dim, dim) for _ in experts)
        self.words = NetVLAD(word_dim, CLUSTERS)
        self.text = ExpertText(CLUSTERS * word_dim, len(experts), dim)

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        own = masked_mean(features, mask).split(self.experts, 1)
        psi = [project(x) for project, x in zip(self.project, own, strict=True)]
        if len(psi) > 1:
            psi = [
                x * self.open(sum(self.pair(torch.cat([x, y], 1)) for j, y in enumerate(psi) if j != i)).sigmoid()
                for i, x in enumerate(psi)
            ]
        return {"vector": torch.cat([embed(x) for embed, x in zip(self.embed, psi, strict=True)], 1)}

    def encode_text(self, text: TextTensors) -> Encoded:
        return {"vector": self.text(self.words(text.words, text.word_mask)).flatten(1)}


def _perceptron(in_dim: int, dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_dim, dim), nn.ReLU(), nn.Linear(dim, dim))
