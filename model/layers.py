"""Small pieces that both towers use: masked pooling, attention masks that never empty, the transformer block."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over dimension 1 of (B, N, d) where mask (B, N) is true; zeros where a row has none."""
    weight = mask.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over dimension 1 of (B, N, d) where mask (B, N) is true; zeros where a row has none."""
    top = x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)
    return torch.where(mask.any(1, keepdim=True), top, torch.zeros_like(top))


def masked_top_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of the top ceil(n/8) values over dimension 1, n being the row's own length (HANet)."""
    ordered = x.masked_fill(~mask.unsqueeze(-1), -torch.inf).sort(dim=1, descending=True).values
    keep = torch.arange(x.shape[1], device=x.device) < torch.ceil(mask.sum(1, keepdim=True) / 8)
    return masked_mean(torch.where(torch.isfinite(ordered), ordered, torch.zeros_like(ordered)), keep)


def positions(length: int, dim: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sinusoidal positions (length, dim), Vaswani et al. 2017, section 3.5. `dtype` float32 or float64."""
    rate = torch.exp(torch.arange(0, dim, 2, device=device, dtype=dtype) * (-math.log(10000.0) / dim))
    angle = torch.arange(length, device=device, dtype=dtype).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :dim]


def unit(vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every row of every level at length 1; rows of zeros (absent levels) stay zeros."""
    return {name: fn.normalize(v, dim=-1) for name, v in vectors.items()}


class RelationEncoder(nn.Module):
    """Linear to d, sinusoidal positions, one transformer block, masked mean: equations (2-6) and (18-22).

    (B, N, d_in) and mask (B, N) -> (B, d).
    """

    def __init__(self, in_dim: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(in_dim, dim)
        self.block = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        z = self.project(x)
        exact = torch.promote_types(z.dtype, torch.float32)  # half precision cannot count to 300
        z = z + positions(z.shape[1], z.shape[2], z.device, exact).to(z.dtype)
        # An empty row would make softmax divide by zero; its first position is let in and its mean is zero anyway.
        hidden = ~mask
        hidden[:, 0] &= mask.any(1)
        return masked_mean(self.block(z, src_key_padding_mask=hidden), mask)
