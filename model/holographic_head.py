"""The holographic head of the global level and its fold into a plain inner product.

The paper scores a video vector v and a text vector t by sigmoid(FC(v * t)) (equation 23), where

    [v * t]_k = sum_i v_i t_{(k+i) mod d}                    circular correlation

With one FC layer of weight h and bias b the head is bilinear, so either side can be folded once:

    h . (v * t) = < v, h * t >        fold the text:  correlation with h
                = < t, h (*) v >      fold the video: circular convolution with h

A whole batch is then one matrix product, and an index needs nothing but inner products.
Plate, "Holographic Reduced Representations", 1995; Nickel et al., "Holographic Embeddings", 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def circular_correlation(a: Tensor, b: Tensor) -> Tensor:
    """[a * b]_k = sum_i a_i b_{(k+i) mod d} over the last dimension, by FFT."""
    return torch.fft.irfft(torch.fft.rfft(a).conj() * torch.fft.rfft(b), n=a.shape[-1])


def circular_convolution(a: Tensor, b: Tensor) -> Tensor:
    """[a (*) b]_k = sum_i a_i b_{(k-i) mod d} over the last dimension, by FFT."""
    return torch.fft.irfft(torch.fft.rfft(a) * torch.fft.rfft(b), n=a.shape[-1])


class HolographicHead(nn.Module):
    """FC(v * t) for (B, d) videos and texts; the sigmoid belongs to the level's `LevelSpec`.

    Starts as `h = scale * e_0`, a scaled dot product, instead of a constant.
    """

    def __init__(self, dim: int, scale: float, bias: float = 0.0) -> None:
        super().__init__()
        weight = torch.zeros(dim)
        weight[0] = scale
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.tensor(bias))

    def fold_text(self, text: Tensor) -> Tensor:
        """Text vectors (B, d) -> queries (B, d) whose inner product with a video vector is h . (v * t)."""
        return circular_correlation(self.weight, text)

    def fold_video(self, video: Tensor) -> Tensor:
        """Video vectors (B, d) -> queries (B, d) whose inner product with a text vector is h . (v * t)."""
        return circular_convolution(self.weight, video)

    def forward(self, video: Tensor, text: Tensor) -> Tensor:
        """Inner products of every video with every folded text, without the bias: (B_v, B_t)."""
        return video @ self.fold_text(text).T
