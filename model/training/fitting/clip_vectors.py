"""Vectors of the clips of a whole split."""

from __future__ import annotations

import torch
from torch import Tensor

from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.layers import unit
from model.mcsan.network import MCSAN


@torch.inference_mode()
def encode_videos(model: MCSAN, features: Tensor, mask: Tensor, batch_size: int = 256) -> Vectors:
    """Gallery vectors of padded features (V, N, D_v): {level: (V, d_l)} float32."""
    device = model.log_weights.device
    parts = [
        unit(model.video(f.to(device), m.to(device)))
        for f, m in zip(features.split(batch_size), mask.split(batch_size), strict=True)
    ]
    return {n: torch.cat([p[n] for p in parts]).float().cpu().numpy() for n in LEVEL_NAMES}
