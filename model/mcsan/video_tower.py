"""The video side of MCSAN: frame features (B, N, D_v) -> four vectors. Equations (7) to (22)."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.levels import LEVEL_NAMES
from model.mcsan.config import ModelConfig
from model.mcsan.layers import Centre, Dropout, RelationEncoder, at_real, masked_max, masked_mean, masked_top_mean
from model.mcsan.ordered_pairs import VideoPairs

ACTION_KERNELS = (2, 3, 5)

CONSTANT = 2e-6
"""A channel whose deviation is a smaller part of its mean than this is constant but for rounding."""


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

    def __init__(self, config: ModelConfig, dim: int | None = None) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(config.tower_dim, config.global_width),
            nn.GELU(),
            Dropout(0.5),
            nn.Linear(config.global_width, dim or config.sentence_dim),
        )

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        return self.mlp(masked_mean(f, mask))


class GlobalResidual(nn.Module):
    """Masked mean of the frames as they are, plus an MLP of it that starts at zero: at first zero-shot search."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(config.feature_dim, 1024),
            nn.GELU(),
            Dropout(config.dropout),
            nn.Linear(1024, config.sentence_dim),
        )
        for parameter in self.mlp[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        mean = masked_mean(f, mask)
        return mean + self.mlp(mean)


GLOBAL_POOLS = {"gru": GlobalGRU, "mean": GlobalMean, "residual": GlobalResidual}


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


class ActionChange(nn.Module):
    """The mean frame next to the mean absolute change from frame to frame, both after Linear and GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input = nn.Linear(config.tower_dim, config.embed_dim)
        self.output = nn.Linear(2 * config.embed_dim, config.embed_dim)

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        x = at_real(lambda rows: fn.gelu(self.input(rows)), f, mask)
        change = masked_mean((x[:, 1:] - x[:, :-1]).abs(), mask[:, 1:])  # zeros for a clip of one frame
        return self.output(torch.cat([masked_mean(x, mask), change], dim=-1))


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
        own = [name for name in levels if name != "action" or config.action_input == "action"]
        self.embed = nn.ModuleDict(
            {
                name: nn.Linear(config.tower_dim, config.tower_dim)
                if config.level_fc and name in own and (name, config.video_global) != ("global", "residual")
                else nn.Identity()
                for name in levels
            }
        )
        self.pairs = VideoPairs(config) if config.has_pairs else None
        self.centre = Centre(config.widths) if config.centred else None
        self.input_dropout = Dropout(config.input_dropout)
        self.dropout = Dropout(config.dropout)
        self.head_dropout = Dropout(config.head_dropout)
        d = config.embed_dim
        if config.alike:
            self.project = nn.ModuleDict()
            self.pool = nn.ModuleDict(
                {n: GlobalMean(config, config.sentence_dim if n == "global" else d) for n in LEVEL_NAMES}
            )
            return
        self.pool = nn.ModuleDict(
            {
                "global": GLOBAL_POOLS[config.video_global](config),
                "entity": EntityPool(config),
                "action": ActionPool(config) if config.action_pool == "conv" else ActionChange(config),
            }
        )
        if config.relation_level:
            self.pool["relation"] = RelationEncoder(config.tower_dim, config.whole_dim, config.heads, config.dropout)
        self.project = nn.ModuleDict(
            {name: nn.Linear(d, d) if config.projection else nn.Identity() for name in ("entity", "action")}
        )

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Centre and scale of the training frames' features, each (D_v,).

        A channel that varies by no more than its own rounding says nothing: divided by infinity it is 0 ever after.
        """
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > CONSTANT * mean.abs(), std, torch.inf))

    def forward(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if self.training:
            features, mask = self._draw_frames(features, mask)
        scaled = (features - self.mean) / self.std if self.config.standardise else features
        vectors = {"relation": features.new_zeros(len(features), self.config.embed_dim)}
        for name in self.embed:
            if name == "global" and self.config.video_global == "residual":
                seen = features  # they are in the space of the sentences, and must stay there
            else:
                seen = self._seen(self.config.action_input if name == "action" else name, scaled, mask)
            pooled = self.pool[name](seen, mask)
            if name != "global":
                pooled = self.head_dropout(pooled)
            vectors[name] = self.project[name](pooled) if name in self.project else pooled
        if self.pairs is not None:
            whole = fn.normalize(vectors["relation"], dim=-1)
            vectors["relation"] = torch.cat([whole, self.pairs(features, mask)], dim=-1)
        return vectors if self.centre is None or self.training else self.centre(vectors)

    def _seen(self, name: str, features: Tensor, mask: Tensor) -> Tensor:
        """What one level sees of the frames: (B, N, tower_dim), zeros at padding."""
        if self.config.clip_dropout and self.training:
            features = features * self.input_dropout(torch.ones_like(features[:, :1]))
        return at_real(partial(self._level, name), features, mask)

    def _level(self, name: str, f: Tensor) -> Tensor:
        """Frames (n, D_v) -> (n, tower_dim)."""
        config = self.config
        if not config.clip_dropout:
            f = self.input_dropout(f)
        f = self.bottleneck(f)
        return self.dropout(fn.relu(f + self.embed[name](f))) if config.level_fc else f  # (7-10)

    def _draw_frames(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Some frames of each clip, in order: `frame_dropout` hides its share, `train_frames` bounds what remains."""
        config = self.config
        if not config.frame_dropout and not config.train_frames:
            return features, mask
        luck = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1.0)
        kept = luck >= config.frame_dropout
        kept.scatter_(1, luck.argmax(1, keepdim=True), True)  # never all of them
        if config.train_frames:
            kept &= luck.argsort(dim=1, descending=True).argsort(dim=1) < config.train_frames
        # Hidden frames leave the sequence, so that those after them move up and lengths stay prefixes.
        order = kept.int().argsort(dim=1, descending=True, stable=True)[:, : int(kept.sum(1).max())]
        return features[torch.arange(len(order), device=order.device).unsqueeze(1), order], kept.gather(1, order)
