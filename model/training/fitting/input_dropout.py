"""How much of the frame features to hide in training, from the training data alone.

With few videos a network learns them by heart, with many it should see everything. Dropout of a linear layer's input
at the rate p is ridge regression with the penalty p / (1 - p) times the features' energy (Wager, Wang and Liang,
"Dropout Training as Adaptive Regularization", 2013), and ridge regression from a video's mean frame to its mean
sentence vector has a closed form, leave-one-out errors included. So the best rate costs one decomposition.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from model.mcsan.layers import masked_mean
from model.mcsan.video_tower import CONSTANT
from model.training.data.dataset import VideoText
from model.training.data.splits import spread

RATES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Half at least: a network learns more by heart than a regression, and does better with 0.5 where that asks for 0.1."""

MAX_VIDEOS = 4000


def fitting_input_dropout(data: VideoText) -> float:
    """The rate of `RATES` whose ridge regression ranks left-out videos best, by mean reciprocal rank.

    Each of at most MAX_VIDEOS training videos is predicted from the others and ranked by cosine against the mean
    sentence vectors of all.
    """
    videos = spread(len(data.features), MAX_VIDEOS)
    x, y = _standardised(data)[videos], _mean_sentences(data)[videos]
    x, y = x - x.mean(0), y - y.mean(0)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    energy = s.square()
    # A rate penalises n-fold data n-fold: the rate for all videos is the penalty found on a sample of them.
    per_rate = len(data.features) * x.square().mean()
    ranks = []
    for rate in RATES:
        shrink = energy / (energy + rate / (1 - rate) * per_rate)
        leverage = (u.square() * shrink).sum(1, keepdim=True) + 1 / len(x)
        predicted = y - (y - u @ (shrink.unsqueeze(1) * (u.T @ y))) / (1 - leverage).clamp(min=1e-6)
        scores = fn.normalize(predicted, dim=1) @ fn.normalize(y, dim=1).T
        rank = (scores >= scores.diagonal().unsqueeze(1)).sum(1)
        ranks.append(float((1 / rank).mean()))
    return RATES[int(np.argmax(ranks))]


def _standardised(data: VideoText) -> Tensor:
    """Mean standardised frame of each video, (V, D_v) float64."""
    frames = data.features[data.frame_mask]
    mean, std = frames.mean(0), frames.std(0, correction=0)
    scale = torch.where(std > CONSTANT * mean.abs(), std, torch.inf)
    return (masked_mean(data.features, data.frame_mask).double() - mean) / scale


def _mean_sentences(data: VideoText) -> Tensor:
    """Mean sentence vector of each video's captions, (V, d_s) float64."""
    sentences = torch.from_numpy(np.stack([text.encoded.sentence for text in data.texts])).double()
    total = sentences.new_zeros(len(data.features), sentences.shape[1])
    owner = torch.from_numpy(data.owner)
    return total.index_add(0, owner, sentences) / torch.bincount(owner, minlength=len(total)).clamp(min=1).unsqueeze(1)
