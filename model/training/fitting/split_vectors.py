"""Vectors of the clips and of the captions of a whole split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.layers import unit
from model.mcsan.network import MCSAN
from model.mcsan.text_features import TextFeatures, collate


@torch.inference_mode()
def encode_videos(model: MCSAN, features: Tensor, mask: Tensor, batch_size: int = 256) -> Vectors:
    """Gallery vectors of padded features (V, N, D_v): {level: (V, d_l)} float32."""
    device = model.log_weights.device
    parts = [
        unit(model.video(f.to(device), m.to(device)))
        for f, m in zip(features.split(batch_size), mask.split(batch_size), strict=True)
    ]
    return {n: torch.cat([p[n] for p in parts]).float().cpu().numpy() for n in LEVEL_NAMES}


@torch.inference_mode()
def encode_text_features(model: MCSAN, texts: Sequence[TextFeatures], batch_size: int = 256) -> Vectors:
    """Gallery vectors of texts: {level: (B, d_l)} float32; absent levels are rows of zeros."""
    device = model.log_weights.device
    chunks = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
    parts = [unit(model.text(collate(chunk).to(device))) for chunk in chunks]
    return {n: torch.cat([p[n] for p in parts]).float().cpu().numpy() for n in LEVEL_NAMES}
