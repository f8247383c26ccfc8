"""Small pieces that both towers use: masked pooling, attention masks that never empty, the transformer block."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

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


def at_real(function: Callable[[Tensor], Tensor], x: Tensor, mask: Tensor) -> Tensor:
    """`function` of the rows (n, ...) of x (B, N, ...) where mask is true, zeros elsewhere.

    What is in padding cannot matter, and it costs no arithmetic where `skips_padding` says so.
    """
    if skips_padding(x):
        return padded(function(real_rows(x, mask)), mask)
    rows = function(x.flatten(0, 1)).unflatten(0, mask.shape)
    return torch.where(mask.view(*mask.shape, *[1] * (rows.ndim - 2)), rows, 0)


def skips_padding(x: Tensor) -> bool:
    """Whether padding is left out of a computation: on a CPU, which it saves time, and in training, memory.

    A GPU that encodes would have to tell the processor first how many rows are real, which takes longer than they do,
    and which no CUDA graph can hold; nor can OpenVINO, which reads a network as it is traced.
    """
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined]
    return not traced and (torch.is_grad_enabled() or not x.is_cuda)


def real_rows(x: Tensor, mask: Tensor) -> Tensor:
    """Rows (n, ...) of x (B, N, ...) where mask is true; without a copy where it is true everywhere."""
    return x.flatten(0, 1) if mask.all() else x[mask]


def padded(rows: Tensor, mask: Tensor) -> Tensor:
    """Rows (n, ...) back to where mask (B, N) is true, zeros elsewhere: (B, N, ...)."""
    if len(rows) == mask.numel():
        return rows.unflatten(0, mask.shape)
    return rows.new_zeros(*mask.shape, *rows.shape[1:]).index_put((mask,), rows)


def positions(length: int, dim: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sinusoidal positions (length, dim), Vaswani et al. 2017, section 3.5. `dtype` float32 or float64."""
    rate = torch.exp(torch.arange(0, dim, 2, device=device, dtype=dtype) * (-math.log(10000.0) / dim))
    angle = torch.arange(length, device=device, dtype=dtype).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :dim]


def unit(vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every row of every level at length 1; rows of zeros (absent levels) stay zeros."""
    return {name: fn.normalize(v, dim=-1) for name, v in vectors.items()}


class Centre(nn.Module):
    """Vectors (B, d_l) by level, at length 1, less a vector `mean_NAME` (d_l,) of each level.

    Otherwise some captions are nearer than others to the mean clip, and so to all clips: they are hubs (Suzuki et al.,
    "Centering Similarity Measures to Reduce Hubs", EMNLP 2013). `mean_NAME` is 0 until
    `model/training/fitting/centre_fit.py` sets it, which comes after training.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        super().__init__()
        for name, width in widths.items():
            self.register_buffer(f"mean_{name}", torch.zeros(width))

    def forward(self, vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: v - self.get_buffer(f"mean_{name}") for name, v in unit(vectors).items()}


class Dropout(nn.Dropout):
    """`nn.Dropout`, two to four times as fast on a processor, where PyTorch's own was an eighth of a step of `plus`.

    One draw decides for four values, so p is rounded to a 65,536th.
    """

    def forward(self, x: Tensor) -> Tensor:
        steps = round(self.p * 2**16)
        if not self.training or x.is_cuda or not 0 < steps < 2**16:
            return super().forward(x)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= steps - 2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - steps))


class ContextWords(nn.Module):
    """A BiGRU over words (HANet): (B, M, d_w) and mask (B, M) -> mean of both directions (B, M, d), 0 at padding."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.gru = nn.GRU(in_dim, dim, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])
        return torch.stack(states.chunk(2, dim=2)).mean(0) * mask.unsqueeze(-1)


class RelationEncoder(nn.Module):
    """Linear to d, sinusoidal positions, one transformer block, masked mean: equations (2-6) and (18-22).

    (B, N, d_in) and mask (B, N) -> (B, d).
    """

    def __init__(self, in_dim: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(in_dim, dim)
        # Holds the weights. Its own forward pass would compute padding too, over half of a batch of captions.
        self.block = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout, batch_first=True)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if not skips_padding(x):
            return masked_mean(self._encode(self.project(x), mask, lambda rows: rows, lambda rows: rows), mask)
        picked = partial(real_rows, mask=mask)
        z = self._encode(self.project(picked(x)), mask, picked, partial(padded, mask=mask))
        return masked_mean(padded(z, mask), mask)

    def _encode(
        self, z: Tensor, mask: Tensor, real: Callable[[Tensor], Tensor], spread: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Projected positions z (..., d), all of them or the real ones, after positions and the block.

        real    which of rows (B, N, ...) they are
        spread  them (..., n) to (B, N, n)
        """
        block, attend = self.block, self.block.self_attn
        exact = torch.promote_types(z.dtype, torch.float32)  # half precision cannot count to 300
        places = positions(mask.shape[1], z.shape[-1], z.device, exact).to(z.dtype)
        z = z + real(places.expand(mask.shape[0], -1, -1))
        qkv = spread(fn.linear(z, attend.in_proj_weight, attend.in_proj_bias))
        z = block.norm1(z + self.dropout(attend.out_proj(real(self._attention(qkv, mask)))))
        return block.norm2(z + self.dropout(block.linear2(self.dropout(fn.relu(block.linear1(z))))))

    def _attention(self, qkv: Tensor, mask: Tensor) -> Tensor:
        """Stacked projections (B, N, 3d) -> what every position heard, heads side by side (B, N, d)."""
        b, n, _ = qkv.shape
        heads = self.block.self_attn.num_heads
        q, k, v = qkv.view(b, n, 3, heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, d / heads) each
        # An empty row would make softmax divide by zero; its first position is let in and its mean is zero anyway.
        allowed = mask.clone()
        allowed[:, 0] |= ~mask.any(1)
        dropout = self.block.self_attn.dropout if self.training else 0.0
        if dropout and not qkv.is_cuda:  # PyTorch has no fast attention with dropout here
            scores = (q / q.shape[-1] ** 0.5) @ k.transpose(2, 3)
            heard = self.dropout(scores.masked_fill(~allowed[:, None, None], -torch.inf).softmax(-1)) @ v
        else:
            heard = fn.scaled_dot_product_attention(q, k, v, allowed[:, None, None], dropout)
        return heard.transpose(1, 2).flatten(2)


def pad_features(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Features (T_i, D_v) of B clips -> (B, N, D_v) with zeros past the end, and the mask (B, N) of real frames."""
    lengths = torch.tensor([len(f) for f in features])
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    return torch.nn.utils.rnn.pad_sequence(list(features), batch_first=True), mask
