"""The means that centred vectors are measured from (`model.centred`): half of the mean of the training split.

They are fitted to vectors of the finished model, which sees all frames and drops nothing out. Means that followed
training did not help (docs/results.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.levels import Vectors
from model.mcsan.layers import Centre
from model.mcsan.network import MCSAN
from model.training.data.dataset import VideoText
from model.training.data.splits import spread
from model.training.fitting.split_vectors import encode_text_features, encode_videos

SHARE = 0.5
"""Of the mean. Shares from a quarter to one rank about equally well on validation data (docs/results.md)."""

MAX_ROWS = 4000
"""Clips, and captions, that a mean is taken of, evenly spread: it is within a sixtieth of a deviation by then."""


def fit_centres(model: MCSAN, train: VideoText) -> None:
    """Set the means of both towers, and move the concept heads (24-26) along, so that they read centred clips.

    Every process of several computes the same.
    """
    clips, texts = (spread(len(rows), MAX_ROWS) for rows in (train.features, train.texts))
    videos = encode_videos(model, train.features[clips], train.frame_mask[clips])
    captions = encode_text_features(model, [train.texts[row] for row in texts])
    for tower, vectors in ((model.video, videos), (model.text, captions)):
        assert tower.centre is not None
        _set_means(tower.centre, vectors)
    for name in model.concept_levels:
        _move_head(model, name, torch.from_numpy(videos[name]))


def _set_means(centre: Centre, vectors: Vectors) -> None:
    for name, rows in vectors.items():
        present = rows[rows.any(axis=1)]
        if len(present):
            centre.get_buffer(f"mean_{name}").copy_(torch.from_numpy(SHARE * present.mean(axis=0)))


@torch.no_grad()
def _move_head(model: MCSAN, level: str, clips: Tensor) -> None:
    """A clip v becomes u = (v - m) / |v - m|. So W v + b is near r W u + (W m + b), r being the mean of |v - m|."""
    assert model.video.centre is not None
    mean = model.video.centre.get_buffer(f"mean_{level}")
    head = model.concepts[level]
    assert isinstance(head, nn.Linear)
    offset = model.concept_logits(level, mean.unsqueeze(0))[0]
    head.weight.mul_((clips.to(mean.device) - mean).norm(dim=1).mean())
    head.bias.copy_(offset)
