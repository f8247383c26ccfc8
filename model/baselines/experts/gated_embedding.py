"""What models of experts have in common: gated embeddings, and a weighted sum of cosines that is one inner product.

    GEU(x) = y * sigmoid(W y + b),  y = V x + c            Miech, Laptev, Sivic 2018, equations (3) and (4)
    s(t, v) = sum_n w_n(t) <phi_n(t), psi_n(v)>,  w = softmax(U h(t) + u)       both sides of length 1

With q = [w_1 phi_1 ; ... ; w_n phi_n] and v = [psi_1 ; ... ; psi_n] the score is <q, v>: the weights are folded into
the text, as the holographic head is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded, Labels
from model.baselines.single_vector import VectorModel
from model.mcsan.losses import hinge_loss


class GatedEmbedding(nn.Module):
    """(..., d_in) -> (..., d), of length 1."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(in_dim, dim)
        self.gate = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        return fn.normalize(y * self.gate(y).sigmoid(), dim=-1)


class ExpertText(nn.Module):
    """What a text (B, d_in) looks for in every expert: (B, n, d), each row of length w_n; over n they sum to 1."""

    def __init__(self, in_dim: int, experts: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList(GatedEmbedding(in_dim, dim) for _ in range(experts))
        self.weights = nn.Linear(in_dim, experts)

    def forward(self, x: Tensor) -> Tensor:
        phi = torch.stack([embed(x) for embed in self.embed], 1)
        return self.weights(x).softmax(1).unsqueeze(2) * phi


class ExpertModel(VectorModel):
    """`experts` are the widths of the files that stand side by side in the features. `margin` is that of its loss.

    Every video has all experts, so its vector has the length sqrt(n), and an index that holds it at length 1 ranks
    videos as the score does. The length of a text depends on its weights: see `note`.
    """

    margin: ClassVar[float]
    note: ClassVar[str] = "Texts of several experts are compared at length 1 when they answer a video."

    def __init__(self, experts: Sequence[int], dim: int, **made_with: Any) -> None:
        super().__init__(hardest=False, made_with={**made_with, "experts": list(experts), "dim": dim})
        self.experts = tuple(experts)

    def widths(self) -> dict[str, int]:
        return {"vector": self.made_with["dim"] * len(self.experts)}

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return video["vector"] @ text["vector"].T

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        return {"rank": hinge_loss(self.scores(video, text), batch.negatives, self.margin, hardest=False)}
