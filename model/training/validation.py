"""Measuring MCSAN: vectors of a whole split, one matrix product per level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.evaluation.metrics import Retrieval, evaluate
from model.layers import unit
from model.levels import LEVEL_NAMES, Vectors
from model.mcsan import MCSAN
from model.text_features import TextFeatures, collate
from model.training.dataset import VideoText
from model.training.health import spreads


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


@torch.inference_mode()
def fold_text_queries(model: MCSAN, vectors: Vectors) -> Vectors:
    """Gallery vectors of texts -> query vectors for clips: the head folded into the global level."""
    folded = model.head.fold_text(torch.from_numpy(vectors["global"]).to(model.log_weights.device))
    return {**vectors, "global": folded.float().cpu().numpy()}


def validate(model: MCSAN, data: VideoText) -> tuple[dict[str, Retrieval], dict[str, float]]:
    """Metrics on `data`, fused and per level, and the spread of each level's scores (health.py)."""
    was_training = model.training
    model.eval()
    videos = encode_videos(model, data.features, data.frame_mask)
    queries = fold_text_queries(model, encode_text_features(model, data.texts))
    model.train(was_training)
    specs = model.level_specs()
    # A level that is switched off has weight 0 and no scores to tell about.
    used = [spec for spec in specs if spec.weight]
    return evaluate(specs, queries, videos, data.owner), spreads(used, queries, videos)
