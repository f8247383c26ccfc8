"""Recurrent states and convolutions over frames or words, where padding is as good as absent."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.mcsan.layers import masked_max


class RecurrentStates(nn.Module):
    """A GRU over (B, N, d_in) with mask (B, N): states (B, N, d), zeros at padding, and the last ones.

    The last states are (B, directions, hidden). A row without elements is read as one element of zeros.
    """

    def __init__(self, in_dim: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(in_dim, hidden, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.gru(packed)
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
        return padded * mask.unsqueeze(-1), last.transpose(0, 1)


class ConvolutionMax(nn.Module):
    """Per kernel size k: ReLU(Conv1d) at every place that overlaps the sequence, and the maximum over places.

    (B, N, d_in) with zeros at padding and mask (B, N) -> (B, len(kernels) * filters).
    """

    def __init__(self, in_dim: int, filters: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        # A convolution as a matrix product over windows: Conv1d would compute padding too.
        self.filters = nn.ModuleList(nn.Linear(in_dim * k, filters) for k in kernels)
        self.kernels = kernels

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        pooled = []
        for of_windows, k in zip(self.filters, self.kernels, strict=True):
            windows = fn.pad(x, (0, 0, k - 1, k - 1)).unfold(1, k, 1)  # (B, N + k - 1, d_in, k)
            # A sequence of n elements has n + k - 1 places of its own, whatever it is padded to.
            own = torch.arange(windows.shape[1], device=x.device) < mask.sum(1, keepdim=True) + k - 1
            values = fn.relu(of_windows(windows[own].flatten(1)))
            places = values.new_zeros(*own.shape, values.shape[1]).index_put((own,), values)
            pooled.append(masked_max(places, own))
        return torch.cat(pooled, 1)


class AttendedMean(nn.Module):
    """sum_j a_j x_j with a = softmax_j(w . tanh(U x_j + u)), of (B, N, d) and mask (B, N): (B, d)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.read, self.weigh = nn.Linear(dim, dim), nn.Linear(dim, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return attended_mean(x, mask, self.weigh(self.read(x).tanh()))


def attended_mean(x: Tensor, mask: Tensor, logits: Tensor) -> Tensor:
    """Mean of the real ones of (B, N, d), weighted by the softmax of logits (B, N, 1): (B, d); zeros without any."""
    floor = torch.finfo(logits.dtype).min  # finite: an empty row must not divide by zero
    weights = logits.squeeze(2).masked_fill(~mask, floor).softmax(1) * mask
    return (weights.unsqueeze(1) @ x).squeeze(1)


def transformer(dim: int, layers: int, heads: int, dropout: float = 0.1) -> nn.TransformerEncoder:
    """Blocks of attention with GELU and the norm after each part, as BERT's, over (B, N, d) and a mask of padding."""
    layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout, "gelu", batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
