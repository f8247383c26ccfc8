"""The video side of MCSAN: frame features (B, N, D_v) -> four vectors. Equations (7) to (22)."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.config import ModelConfig
from model.layers import RelationEncoder, at_real, masked_max, masked_mean, masked_top_mean
from model.levels import LEVEL_NAMES

ACTION_KERNELS = (2, 3, 5)


class GlobalGRU(nn.Module):
    """Soft attention over frames, then a BiGRU whose last states are the vector (11-15)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attend = nn.Linear(config.tower_dim, 1)
        self.gru = nn.GRU(config.tower_dim, config.sentence_dim // 2, batch_first=True, bidirectional=True)
        self.scaled = config.attention_scaled

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        alpha = self.attend(f).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(1)  # (B, N)
        lengths = mask.sum(1)
        if self.scaled:
            alpha = alpha * lengths.unsqueeze(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            alpha.unsqueeze(-1) * f, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed)  # (2, B, d_s / 2)
        return last.transpose(0, 1).flatten(1)


class GlobalMean(nn.Module):
    """Masked mean of the frames through a small MLP: less to over-fit than a GRU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(config.tower_dim, 1024),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(1024, config.sentence_dim),
        )

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        return self.mlp(masked_mean(f, mask))


class EntityPool(nn.Module):
    """ReLU(Conv1d k=1) and the strongest frames of each channel (16): one frame with the entity is enough."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(config.tower_dim, config.embed_dim, 1)
        self.pool = masked_max if config.entity_pool == "max" else masked_top_mean

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        return self.pool(at_real(partial(convolve, self.conv), f, mask), mask)


def convolve(conv: nn.Conv1d, windows: Tensor) -> Tensor:
    """ReLU of a convolution at the windows (n, D * k) that it would look at: (n, d).

    One matrix product. Conv1d takes nearly twice as long for it on processors, most of it in the backward pass.
    """
    return fn.relu(fn.linear(windows, conv.weight.flatten(1), conv.bias))


class ActionPool(nn.Module):
    """Convolutions over 2, 3 and 5 frames, each max-pooled over time, and their weighted sum (17).

    Frames past the end must be zeros, as those before the start are.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(config.tower_dim, config.embed_dim, k) for k in ACTION_KERNELS)
        self.beta = nn.Parameter(torch.full((3,), 1 / 3), requires_grad=config.learned_beta)

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        branches = []
        for conv, k in zip(self.convs, ACTION_KERNELS, strict=True):
            windows = fn.pad(f, (0, 0, (k - 1) // 2, k // 2)).unfold(1, k, 1).flatten(2)  # (B, N, D * k)
            branches.append(masked_max(at_real(partial(convolve, cast(nn.Conv1d, conv)), windows, mask), mask))
        return sum(b * branch for b, branch in zip(self.beta, branches, strict=True))


class VideoTower(nn.Module):
    """(B, N, D_v) features and mask (B, N) -> {level: (B, d_l)}, not normalised: see `unit` in layers.py."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.feature_dim))
        self.register_buffer("std", torch.ones(config.feature_dim))
        self.mean: Tensor
        self.std: Tensor
        self.bottleneck = nn.Linear(config.feature_dim, config.bottleneck) if config.bottleneck else nn.Identity()
        levels = [name for name in LEVEL_NAMES if name != "relation" or config.relation_level]
        self.embed = nn.ModuleDict({name: nn.Linear(config.tower_dim, config.tower_dim) for name in levels})
        self.dropout = nn.Dropout(config.dropout)
        d = config.embed_dim
        self.pool = nn.ModuleDict(
            {
                "global": GlobalGRU(config) if config.video_global == "gru" else GlobalMean(config),
                "entity": EntityPool(config),
                "action": ActionPool(config),
            }
        )
        if config.relation_level:
            self.pool["relation"] = RelationEncoder(config.tower_dim, d, config.heads, config.dropout)
        self.project = nn.ModuleDict(
            {name: nn.Linear(d, d) if config.projection else nn.Identity() for name in ("entity", "action")}
        )

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Centre and scale of the training frames' features, each (D_v,)."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=1e-6))

    def _embed(self, name: str, rows: Tensor) -> Tensor:
        return self.dropout(fn.relu(rows + self.embed[name](rows)))  # (7-10)

    def forward(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        f = (features - self.mean) / self.std if self.config.standardise else features
        f = at_real(lambda rows: self.bottleneck(fn.dropout(rows, self.config.input_dropout, self.training)), f, mask)
        if self.training and self.config.frame_dropout:
            kept = mask & (torch.rand_like(f[..., 0]) >= self.config.frame_dropout)
            kept[:, 0] |= ~kept.any(1)  # never all of them: the first frame always exists
            # Dropped frames leave the sequence, so that those after them move up and lengths stay prefixes.
            order = kept.int().argsort(dim=1, descending=True, stable=True)
            f, mask = f.gather(1, order.unsqueeze(-1).expand_as(f)), kept.gather(1, order)
        vectors = {"relation": f.new_zeros(len(f), self.config.embed_dim)}
        for name in self.embed:
            level = at_real(partial(self._embed, name), f, mask)
            pooled = self.pool[name](level, mask)
            vectors[name] = self.project[name](pooled) if name in self.project else pooled
        return vectors
