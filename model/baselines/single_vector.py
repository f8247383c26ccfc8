"""Models of one vector per video and one per text, ranked by the cosine; the margin and dropout they share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as fn

from model.mcsan.losses import hinge_loss
from model.training.data.batches import PairBatch
from model.training.loop.matcher import Encoded, Matcher

MARGIN = 0.2
"""Of every baseline's ranking loss."""

DROPOUT = 0.2


class VectorMatcher(Matcher):
    """Cosine of `encoded["vector"]` (B, d); ranking loss over the hardest negatives of a batch, or over all of them."""

    def __init__(self, hardest: bool) -> None:
        super().__init__()
        self.hardest = hardest

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return cosine(video["vector"], text["vector"])

    def objective(self, video: Encoded, text: Encoded, batch: PairBatch) -> dict[str, Tensor]:
        return {"rank": hinge_loss(self.scores(video, text), batch.negatives, MARGIN, self.hardest)}


def cosine(video: Tensor, text: Tensor) -> Tensor:
    """(B_v, d) and (B_t, d) -> (B_v, B_t)."""
    return fn.normalize(video, dim=1) @ fn.normalize(text, dim=1).T
