"""Matching by concepts: how much two lists of concept probabilities overlap, and how true they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as fn


def jaccard(video: Tensor, text: Tensor) -> Tensor:
    """Generalised Jaccard similarity sum_k min / sum_k max of probabilities (B_v, K) and (B_t, K): (B_v, B_t)."""
    both = video.sum(1, keepdim=True) + text.sum(1)
    # min = (a + b - |a - b|) / 2 and max = (a + b + |a - b|) / 2: one distance matrix, never (B_v, B_t, K).
    apart = torch.cdist(video, text, p=1)
    return (both - apart) / (both + apart).clamp(min=1e-6)


def concept_bce(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of probabilities (B, K): mean over the concepts, then over the batch."""
    with torch.autocast(probabilities.device.type, enabled=False):  # undefined in half precision
        return fn.binary_cross_entropy(probabilities.float(), labels)
