"""Momentum contrast (He et al. 2020): slow copies of the encoders fill queues of keys, negatives for many steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.baselines.baseline import Labels

MOMENTUM, TEMPERATURE, QUEUE = 0.995, 0.07, 1024


class SlowCopy(nn.Module):
    """A copy of `encoder` whose weights follow it: theta_k <- m theta_k + (1 - m) theta_q at every call of `follow`."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)

    @torch.no_grad()
    def follow(self, encoder: nn.Module) -> None:
        for ours, theirs in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            ours.lerp_(theirs, 1 - MOMENTUM)


class KeyQueue(nn.Module):
    """The last QUEUE keys of both sides at each of `levels`, with the video and the wording that each pair was of."""

    owner: Tensor
    wording: Tensor

    def __init__(self, levels: tuple[str, ...], dim: int) -> None:
        super().__init__()
        self.levels = levels
        for side in ("video", "text"):
            for level in levels:
                self.register_buffer(f"{side}_{level}", torch.zeros(QUEUE, dim))
        self.register_buffer("owner", torch.full((QUEUE,), -1))  # -1: nothing is there yet
        self.register_buffer("wording", torch.full((QUEUE,), -1))

    def keys(self, side: str, level: str) -> Tensor:
        return self.get_buffer(f"{side}_{level}")

    @torch.no_grad()
    def add(self, video: Mapping[str, Tensor], text: Mapping[str, Tensor], batch: Labels) -> None:
        """The keys (B, d) of a batch, by level; the oldest are forgotten."""
        new = {f"video_{level}": video[level] for level in self.levels}
        new |= {f"text_{level}": text[level] for level in self.levels}
        for name, rows in (new | {"owner": batch.owner, "wording": batch.wording}).items():
            kept = self.get_buffer(name)
            kept.copy_(torch.cat([rows.to(kept.dtype), kept])[:QUEUE])

    def negatives(self, batch: Labels) -> Tensor:
        """(B, QUEUE) bool: which keys are of another video and another wording than each pair."""
        other = (batch.owner.unsqueeze(1) != self.owner) & (batch.wording.unsqueeze(1) != self.wording)
        return other & (self.owner >= 0)


def momentum_contrast(queries: Tensor, own: Tensor, keys: Tensor, negatives: Tensor) -> Tensor:
    """-log of the share of q . k+ in exp(q . k / tau) over the own key and the queue's negatives; mean over queries.

    queries and own (B, d), keys (K, d), all of length 1; negatives (B, K) bool.
    """
    positive = (queries * own).sum(1, keepdim=True)
    others = (queries @ keys.T).masked_fill(~negatives, -torch.inf)
    logits = torch.cat([positive, others], 1) / TEMPERATURE
    return fn.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))
