"""HANet: HGR's levels, on frames that stand for what is in them, and concepts that frames and words vote for.

Wu, He, Tang, Lv, Liu, "HANet: Hierarchical Alignment Networks for Video-Text Retrieval", ACM Multimedia 2021, after its
release (https://github.com/Roc-Ng/HANet). Every frame and every word gives probabilities of nouns (1 x 1) and of verbs
(over five frames on the video side), each with batch normalisation and a sigmoid; a video's or text's concept is the
mean of its top ceil(n/8) votes. Five levels are compared as HGR does, and averaged:

    event                the attended frames, the sentence
    individual, two      all frames; verbs and nouns before roles and graph
    local, two           frames that stand for the 10 likeliest verbs and 20 nouns of the video, each times
                         sigmoid(W2 ReLU(W1 mean frame)); verb and noun nodes after the graph

A verb is where the frame votes most for it, averaged with two on each side if that is possible for all ten; a noun is
the mean of the three frames that vote most. Concepts are compared by the generalised Jaccard similarity. Half of a
score is the mean of the five levels, half the mean of the two concept similarities. The loss is the hardest negative of
the levels' mean, 0.1 (eta) times that of the concepts' mean, and 0.01 (mu) times the cross entropies of the concepts.

Where this differs: as HGR does; its batch normalisation and the mean frame of the gates leave padding out. Labels are
those of MCSAN: a text's own, a video's of all its captions, all of which count.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.baselines.baseline import Encoded, Labels
from model.baselines.hgr import DIM, HGR, NODE_LEVELS, node_scores
from model.baselines.parts.concept_matching import concept_bce, jaccard
from model.baselines.single_vector import MARGIN, cosine
from model.mcsan.layers import masked_mean, masked_top_mean
from model.mcsan.losses import hinge_loss
from model.mcsan.text_tower import TextTensors, span_max

MU, ETA = 0.01, 0.1
FRAME_KERNELS = {"action": 5, "entity": 1}
STANDING = {"action": 10, "entity": 20}
"""Concepts of a video that frames stand for."""
REDUCTION = 16
"""The gate's hidden layer is so many times narrower."""


class Votes(nn.Module):
    """(B, N, d) and mask (B, N) -> votes (B, N, K) for K concepts, 0 at padding."""

    def __init__(self, dim: int, concepts: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, concepts, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm1d(concepts)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        logits = self.conv((x * mask.unsqueeze(-1)).transpose(1, 2)).transpose(1, 2)
        votes = torch.zeros_like(logits)
        votes[mask] = self.norm(logits[mask]).sigmoid().to(votes.dtype)
        return votes


class Gate(nn.Module):
    """Opens the channels of frames (B, N, d) by their mean, as a squeeze-and-excitation block (Hu et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        narrow = max(1, dim // REDUCTION)
        self.open = nn.Sequential(
            nn.Linear(dim, narrow, bias=False), nn.ReLU(), nn.Linear(narrow, dim, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * self.open(masked_mean(x, mask)).unsqueeze(1)


class HANet(HGR):
    """`concepts` gives the numbers of nouns ("entity") and verbs ("action")."""

    def __init__(self, feature_dim: int, word_dim: int, concepts: dict[str, int], dim: int = DIM) -> None:
        super().__init__(feature_dim, word_dim, dim)
        self.frame_votes = nn.ModuleDict({n: Votes(dim, concepts[n], FRAME_KERNELS[n]) for n in NODE_LEVELS})
        self.word_votes = nn.ModuleDict({n: Votes(dim, concepts[n], 1) for n in NODE_LEVELS})
        self.gates = nn.ModuleDict({n: Gate(dim) for n in NODE_LEVELS})

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        encoded = super().encode_video(features, mask)
        for name, standing in (("action", verb_frames), ("entity", noun_frames)):
            votes = self.frame_votes[name](encoded[name], mask)
            concepts = masked_top_mean(votes, mask)
            likely = concepts.topk(min(STANDING[name], concepts.shape[1]), dim=1).indices
            own = votes.gather(2, likely.unsqueeze(1).expand(-1, votes.shape[1], -1))
            frames = self.gates[name](encoded[name], mask)
            encoded |= {f"{name} concepts": concepts, f"{name} local": standing(frames, own, mask)}
        return encoded

    def encode_text(self, text: TextTensors) -> Encoded:
        words = self.word_states(text)
        votes = {
            f"{n} concepts": masked_top_mean(self.word_votes[n](words, text.word_mask), text.word_mask)
            for n in NODE_LEVELS
        }
        return self.levels(text, words) | votes | {"plain nodes": span_max(words, text)}

    def level_scores(self, video: Encoded, text: Encoded) -> Tensor:
        """Mean of the five levels: (B_v, B_t)."""
        scores = [cosine(video["event"], text["event"])]
        for name in NODE_LEVELS:
            scores.append(node_scores(video[name], video["mask"], text["plain nodes"], text[name]))
            standing = video[f"{name} local"]
            real = torch.ones(standing.shape[:2], dtype=torch.bool, device=standing.device)
            scores.append(node_scores(standing, real, text["nodes"], text[name]))
        return torch.stack(scores).mean(0)

    def concept_scores(self, video: Encoded, text: Encoded) -> Tensor:
        """Mean of the two concept similarities: (B_v, B_t)."""
        names = [f"{n} concepts" for n in NODE_LEVELS]
        return torch.stack([jaccard(video[name], text[name]) for name in names]).mean(0)

    def scores(self, video: Encoded, text: Encoded) -> Tensor:
        return 0.5 * (self.level_scores(video, text) + self.concept_scores(video, text))

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        labels = [
            concept_bce(side[f"{n} concepts"], given[n])
            for n in NODE_LEVELS
            for side, given in ((video, batch.video_labels), (text, batch.text_labels))
        ]
        concepts = hinge_loss(self.concept_scores(video, text), batch.negatives, MARGIN, hardest=True)
        return {
            "rank": hinge_loss(self.level_scores(video, text), batch.negatives, MARGIN, hardest=True),
            "concept_rank": ETA * concepts,
            "labels": MU * torch.stack(labels).sum(),
        }


def verb_frames(frames: Tensor, votes: Tensor, mask: Tensor) -> Tensor:
    """Frames (B, N, d) and votes (B, N, C) for concepts -> what stands for each concept (B, C, d)."""
    place = votes.masked_fill(~mask.unsqueeze(2), -1).argmax(1)  # (B, C)
    inside = (place.amax(1) + 2 < mask.sum(1)) & (place.amin(1) > 1)
    around = torch.stack([_at(frames, (place + step).clamp(0, frames.shape[1] - 1)) for step in range(-2, 3)])
    return torch.where(inside.view(-1, 1, 1), around.mean(0), around[2])


def noun_frames(frames: Tensor, votes: Tensor, mask: Tensor) -> Tensor:
    """As `verb_frames`: the mean of the three frames that vote most, or the first where there are fewer than three."""
    most = min(3, votes.shape[1])
    places = votes.masked_fill(~mask.unsqueeze(2), -1).topk(most, dim=1).indices  # (B, most, C)
    best = torch.stack([_at(frames, places[:, rank]) for rank in range(most)])
    return torch.where((mask.sum(1) > 2).view(-1, 1, 1), best.mean(0), best[0])


def _at(frames: Tensor, places: Tensor) -> Tensor:
    return frames.gather(1, places.unsqueeze(2).expand(-1, -1, frames.shape[2]))
