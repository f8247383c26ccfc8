"""Who does something to whom: the part of the relation level that compares ordered pairs of things.

An inner product can hold roles if each kind of thing has a place of its own in the vector. A clip writes into the place
of each kind that it shows how this kind moves compared with the other one. A caption writes into the place of each of
its nouns what its verb says of the noun's role. If roles are exchanged, the same numbers stand in each other's places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from model.language.parsed_caption import ROLES
from model.mcsan.config import PAIR_VALUES, ModelConfig
from model.mcsan.layers import Dropout

READINGS = 7
"""What is read of a kind in a frame: how surely it is seen, x, y, size, sine and cosine of its turn, direction."""

WAVES = 6
"""Cosines of time that describe a reading over a clip."""


class VideoPairs(nn.Module):
    """Frame features (B, N, D_v) and mask (B, N) -> (B, kinds * PAIR_VALUES).

    `read` says what is where in a frame. It is filled before training and stays as it is, because captions alone do not
    teach places (docs/results.md). `scale` is the length of the result: 0 until the pairs are fitted, which comes after
    training (`model/training/fitting/pair_fit.py`).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kinds = config.pair_kinds
        self.read = nn.Linear(config.feature_dim, self.kinds * READINGS).requires_grad_(False)
        self.compare = nn.Sequential(
            nn.Linear(3 * (READINGS - 1) * WAVES, 128), nn.GELU(), Dropout(0.3), nn.Linear(128, PAIR_VALUES)
        )
        self.seen = nn.Parameter(torch.tensor([8.0, -4.0]))  # slope and intercept: 0.5 is in doubt
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.register_buffer("scale", torch.tensor(0.0))
        self.scale: Tensor

    def forward(self, f: Tensor, mask: Tensor) -> Tensor:
        read = self._read(f, mask)
        sure = read[:, 0, :, 0]  # (B, K): the mean over the clip
        track = 3 * read[..., 1:].permute(0, 2, 3, 1).flatten(2)  # (B, K, 6 W), of about variance 1
        itself = torch.eye(self.kinds, dtype=torch.bool, device=f.device)
        near = (self.sharpness * sure).unsqueeze(1).masked_fill(itself, -torch.inf).softmax(-1)  # (B, K, K)
        said = torch.sigmoid(self.seen[0] * sure + self.seen[1]).unsqueeze(-1) * self._compare(track, near @ track)
        return self.scale * fn.normalize(said.flatten(1), dim=-1)

    def seen_kinds(self, f: Tensor, mask: Tensor) -> Tensor:
        """Which kinds each clip shows, by the readings alone: (B, kinds), 0 or 1."""
        return (self._read(f, mask)[:, 0, :, 0] > 0.5).to(f.dtype)

    def _read(self, f: Tensor, mask: Tensor) -> Tensor:
        """The readings' waves: (B, WAVES, kinds, READINGS)."""
        return (waves(mask, f.dtype).transpose(1, 2) @ self.read(f)).unflatten(-1, (self.kinds, READINGS))

    def _compare(self, a: Tensor, b: Tensor) -> Tensor:
        """What is said of `a` compared with `b`. Half of the numbers change their sign if both are exchanged."""
        said, back = self.compare(torch.cat([a, b, a - b], -1)), self.compare(torch.cat([b, a, b - a], -1))
        half = PAIR_VALUES // 2
        return torch.cat([(said - back)[..., :half], said[..., half:]], -1)


def waves(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Cosines of time over the real frames of each clip (B, N, WAVES). A reading times them, summed, is its waves."""
    exact = torch.promote_types(dtype, torch.float32)
    length = mask.sum(1, keepdim=True).clamp(min=1)
    time = (torch.arange(mask.shape[1], device=mask.device, dtype=exact) + 0.5) / length  # (B, N)
    angle = math.pi * time.unsqueeze(-1) * torch.arange(WAVES, device=mask.device)
    return (angle.cos() * (mask.to(exact) / length).unsqueeze(-1)).to(dtype)


class TextPairs(nn.Module):
    """Nodes of a caption, as words (B, K, d_w) -> (B, kinds * PAIR_VALUES) of length `scale`.

    Zeros for a caption without a noun that belongs to a verb.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = nn.Linear(config.word_dim, config.pair_kinds + 1)  # the last is none of them
        self.does = nn.Linear(config.word_dim, len(ROLES) * PAIR_VALUES)
        self.register_buffer("scale", torch.tensor(0.0))
        self.scale: Tensor

    def forward(self, nodes: Tensor, role: Tensor, edges: Tensor) -> Tensor:
        """role (B, K) index into ROLES; edges (B, K, K): from each verb to its nouns."""
        said = self.said(nodes)
        roles = fn.one_hot(role, len(ROLES)).to(said.dtype)
        own = torch.einsum("bvn,bnh,bvhr->bnr", edges.to(said.dtype), roles, said)
        found = torch.einsum("bnk,bnr->bkr", self.kinds(nodes), own)
        return self.scale * fn.normalize(found.flatten(1), dim=-1)

    def said(self, nodes: Tensor) -> Tensor:
        """What each node says, as a verb, of a noun in each role: (..., roles, PAIR_VALUES)."""
        return self.does(nodes).unflatten(-1, (len(ROLES), PAIR_VALUES))

    def kinds(self, nodes: Tensor) -> Tensor:
        """Which kind each noun is of, as shares (..., kinds)."""
        return self.kind(nodes).softmax(-1)[..., :-1]
