"""TeachCLIP: one vector per video that learns from a teacher who compares sentences with single frames.

Tian, Zhao, Xin, Lan, Li, "Holistic Features are almost Sufficient for Text-to-Video Retrieval", CVPR 2024, after its
release (https://github.com/ruc-aimc-lab/TeachCLIP). The student is CLIP4Clip with a transformer, whose frames z_t are
weighted before they are averaged (attentive frame aggregation):

    u_t = w . ReLU(W z_t + b) + c,    v = sum_t softmax_t(u_t / 0.1) z_t / |z_t|

Two terms are added to its loss. Coarse: the Pearson distance, 1 - correlation, of the softmax of each row of scores,
and of each column, to that of the teacher. Fine: the cross entropy of the softmax of u against the teacher's weights of
the frames for the video's own text.

    teacher:  p_t = softmax_t(cos(s, f_t) / 0.01),  score = sum_t p_t cos(s, f_t)

Where this differs: the towers are frozen, and the teacher is that late interaction on their own frames, without
anything learned, where the paper has X-CLIP, TS2-Net and X-Pool.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Encoded, Labels
from model.baselines.frozen_towers.clip4clip import CLIP4Clip
from model.baselines.single_vector import cosine

SHARPNESS = 0.1
TEACHER = 0.01


class TeachCLIP(CLIP4Clip):
    def __init__(self, feature_dim: int, sentence_dim: int) -> None:
        super().__init__(feature_dim, sentence_dim, "transformer")
        del self.made_with["frames"]
        self.weigh = nn.Sequential(nn.Linear(feature_dim, feature_dim), nn.ReLU(), nn.Linear(feature_dim, 1))

    def encode_video(self, features: Tensor, mask: Tensor) -> Encoded:
        states = self.frame_states(features, mask)
        hidden = ~mask
        u = self.weigh(states).squeeze(2)
        share = (u / SHARPNESS).masked_fill(hidden, -torch.inf).softmax(1)
        encoded = {"vector": (share.unsqueeze(1) @ fn.normalize(states, dim=2)).squeeze(1)}
        if self.training:
            log_weights = u.masked_fill(hidden, -torch.inf).log_softmax(1)
            encoded |= {"frames": features, "mask": mask, "log weights": log_weights}
        return encoded

    def objective(self, video: Encoded, text: Encoded, batch: Labels) -> dict[str, Tensor]:
        scores, shares = teacher(video["frames"], video["mask"], text["vector"])
        ours = cosine(video["vector"], text["vector"]) / self.log_temperature.exp().detach()
        theirs = scores / TEACHER
        coarse = pearson_distance(ours.softmax(1), theirs.softmax(1)) + pearson_distance(
            ours.softmax(0).T, theirs.softmax(0).T
        )
        own = shares[torch.arange(len(scores)), :, torch.arange(len(scores))]
        fine = -(own * video["log weights"].masked_fill(~video["mask"], 0)).sum(1).mean()
        return super().objective(video, text, batch) | {"coarse": coarse, "fine": fine}


def teacher(frames: Tensor, mask: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (B_v, B_t) and weights of frames (B_v, N, B_t) of frames (B_v, N, d) and sentences (B_t, d)."""
    similar = fn.normalize(frames, dim=2) @ fn.normalize(sentences, dim=1).T
    shares = (similar / TEACHER).masked_fill(~mask.unsqueeze(2), -torch.inf).softmax(1)
    return (shares * similar).sum(1), shares


def pearson_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean over rows of 1 - the correlation of two matrices (B, K)."""
    a, b = (x - x.mean(1, keepdim=True) for x in (ours, theirs))
    return (1 - fn.cosine_similarity(a, b, dim=1)).mean()
