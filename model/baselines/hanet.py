"""HANet: HGR's levels and concepts that single frames and single words vote for.

Wu, He, Fan, Wang, Wang, Zheng, "HANet: Hierarchical Alignment Networks for Video-Text Retrieval", ACM Multimedia 2021.
Every frame and every word gives probabilities of nouns (1 x 1) and of verbs (over three neighbours on the video side),
each with batch normalisation and a sigmoid; a video's or text's concept is the mean of its top ceil(n/8) votes.
Concepts are compared by the generalised Jaccard similarity and learn from labels by a binary cross entropy of weight
0.1. Half of a score is the mean of HGR's three levels, half the mean of the two concept similarities; both halves have
their own ranking loss.

Where this differs: the release adds two local levels of concept-weighted frames, and its batch normalisation sees
padding, which ours leaves out. Labels are those of MCSAN: a text's own, a video's of all its captions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded, Labels
from model.baselines.concept_matching import concept_bce, jaccard
from model.baselines.hgr import DIM, HGR, NODE_LEVELS
from model.baselines.single_vector import MARGIN
from model.mcsan.layers import masked_top_mean
from model.mcsan.losses import hinge_loss
from model.mcsan.text_tower import TextTensors

CONCEPT_WEIGHT = 0.1
FRAME_KERNELS = {"action": 3, "entity": 1}


class Votes(nn.Module):
    """(B, N, d) and mask (B, N) -> probabilities (B, K) of K concepts: the mean of the top ceil(n/8) votes."""

    def __init__(self, dim: int, concepts: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, concepts, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm1d(concepts)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        logits = self.conv((x * mask.unsqueeze(-1)).transpose(1, 2)).transpose(1, 2)
        votes = torch.zeros_like(logits)
        votes[mask] = self.norm(logits[mask]).sigmoid().to(votes.dtype)
        return masked_top_mean(votes, mask)


class HANet(HGR):
    """`concepts` gives the numbers of nouns ("entity") and verbs ("action")."""

    def __init__(self, feature_dim: int, word_dim: int, concepts: dict[str, int], dim: int = DIM) -> None:
        super().__init__(feature_dim, word_dim, dim)
        self.frame_votes = nn.ModuleDict({n: Votes(dim, concepts[n], FRAME_KERNELS[n]) for n in NODE_LEVELS})
        self.word_votes = nn.ModuleDict({n: Votes(dim, concepts[n], 1) for n in NODE_LEVELS})

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        encoded = super().encode_video(features, mask)
        return encoded | {f"{n} concepts": self.frame_votes[n](encoded[n], mask) for n in NODE_LEVELS}

    def encode_text(self, text: TextTensors) -> Encoded:
        words = self.word_states(text)
        votes = {f"{n} concepts": self.word_votes[n](words, text.word_mask) for n in NODE_LEVELS}
        return self.levels(text, words) | votes

    def concept_scores(self, video: Encoded, text: Encoded) -> Tensor:
        """Mean of the two concept similarities: (B_v, B_t)."""
        names = [f"{n} concepts" for n in NODE_LEVELS]
        return torch.stack([jaccard(video[name], text[name]) for name in names]).mean(0)

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return 0.5 * (super().scores(video, text) + self.concept_scores(video, text))

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        labels = [
            concept_bce(side[f"{n} concepts"], given[n])
            for n in NODE_LEVELS
            for side, given in ((video, batch.video_labels), (text, batch.text_labels))
        ]
        return {
            "rank": hinge_loss(super().scores(video, text), batch.negatives, MARGIN, hardest=True),
            "concept_rank": hinge_loss(self.concept_scores(video, text), batch.negatives, MARGIN, hardest=True),
            "labels": CONCEPT_WEIGHT * torch.stack(labels).sum(),
        }
