"""Weights of the levels in the fused score, fitted to validation data or, by `quartet evaluate`, to any captions.

Where levels learn by themselves (`LossConfig.fused_ranking == 0`), nothing in training says how much each is worth, and
training scores could not: a level that has memorised its training pairs looks perfect on them. Four numbers fitted on
pairs that no level has seen do say it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.evaluation.scores import LevelScores
from model.mcsan.losses import contrast
from model.training.data.splits import spread

MAX_TEXTS = 2000
"""Captions looked at, evenly spread: four numbers need no more."""
MAX_VIDEOS = 4000
"""Videos that those captions are compared with: their own, and others evenly spread. Bounds the memory."""
REGULARIZATION = 0.01
"""Weight of the squared log-weights: draws towards equal weights where the data is thin."""


def fit_level_weights(levels: LevelScores, owner: npt.NDArray[np.int64]) -> Tensor:
    """Log-weights (L,), with mean 0, of the levels: they minimise symmetric InfoNCE of the weighted mean of the scores.

    Text i describes video owner[i]; a video of several clips has the best of them at each level. Where a text lacks a
    level, the others take its weight. The temperature is fitted with the weights. Deterministic: L-BFGS from equal
    weights.
    """
    rows = spread(len(owner), MAX_TEXTS)
    queries = {name: vectors[rows] for name, vectors in levels.text_queries.items()}
    shown, own = _videos(levels, owner[rows])
    by_level = replace(shown, text_queries=queries, ablations=False).block(0, len(rows))
    has = [queries[name].any(axis=1, keepdims=True) for name in levels.levels]
    present = torch.from_numpy(np.stack(has))  # (L, T, 1)
    scores = torch.from_numpy(np.stack([by_level[name] for name in levels.levels])).double()  # (L, T, V)
    scores.masked_fill_(~present, 0.0)
    log_weights = torch.zeros(len(scores), 1, 1, dtype=torch.float64, requires_grad=True)
    log_temperature = torch.tensor(math.log(0.05), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_weights, log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        weights = (log_weights - log_weights.mean()).exp() * present
        fused = (weights * scores).sum(0) / weights.sum(0).clamp(min=1e-12)
        return (
            contrast(fused.T / log_temperature.exp(), own)
            + REGULARIZATION * (log_weights - log_weights.mean()).square().sum()
        )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.inference_mode(False), torch.enable_grad():
        optimiser.step(closure)
    fitted = log_weights.detach().flatten()
    return (fitted - fitted.mean()).float()


def _videos(levels: LevelScores, owner: npt.NDArray[np.int64]) -> tuple[LevelScores, Tensor]:
    """`levels` with at most MAX_VIDEOS videos next to the captions' own, and the owners' numbers among them."""
    videos = levels.shape[1]
    if videos <= MAX_VIDEOS:
        return levels, torch.from_numpy(owner)
    chosen = np.union1d(owner, spread(videos, MAX_VIDEOS))
    counts = np.ones(videos, np.int64) if levels.counts is None else levels.counts
    keep = np.zeros(videos, np.bool_)
    keep[chosen] = True
    rows = np.flatnonzero(np.repeat(keep, counts))
    clips = {name: vectors[rows] for name, vectors in levels.clips.items()}
    fewer = replace(levels, clips=clips, counts=None if levels.counts is None else counts[chosen])
    return fewer, torch.from_numpy(np.searchsorted(chosen, owner))
