"""What is where in a frame, read from its features: ridge regression on labelled frames of the training split.

It stands for the detector that comes with a published backbone. The relation level follows each kind of thing by it
(`model/mcsan/ordered_pairs.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from demo.frames import label_frame
from demo.world import KINDS, ClipSpec
from model.mcsan.ordered_pairs import READINGS

PENALTY = 30.0
"""Of the squared weights of places, for features of variance 1."""

SEEN_PENALTY = 300.0
"""The same, of whether a kind is seen, which all frames teach."""

Floats = npt.NDArray[np.float32]


def places(specs: Sequence[ClipSpec], frames: int) -> tuple[Floats, Floats]:
    """Which kinds are seen, (clips, frames, kinds), and where, (clips, frames, kinds, POSE_VALUES)."""
    labels = [[label_frame(spec, (i + 0.5) / frames) for i in range(frames)] for spec in specs]
    return (
        np.array([[frame[0] for frame in clip] for clip in labels]),
        np.array([[frame[2] for frame in clip] for clip in labels]),
    )


def ridge(rows: Floats, values: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Weights (D, n) and constants (n,) from rows (m, D) to values (m, n) less their means, which are the constants."""
    centre = values.mean(0) if len(values) else np.zeros(values.shape[1], np.float32)
    weight = np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ (values - centre))
    return weight.astype(np.float32), centre.astype(np.float32)


def fit_readings(features: Tensor, specs: Sequence[ClipSpec]) -> nn.Linear:
    """From features (clips, frames, D_v) of clips that show `specs`: to READINGS of every kind, side by side.

    Whether a kind is seen is learned from all frames, the rest from those that show it.
    """
    rows = features.numpy()
    seen, where = places(specs, rows.shape[1])
    mean, std = rows.mean((0, 1)), rows.std((0, 1))
    std = np.where(std > 0, std, np.inf)
    scaled = (rows - mean) / std
    whole = scaled.reshape(-1, rows.shape[2])
    sure, share = ridge(whole, seen.reshape(len(whole), -1), SEEN_PENALTY)
    weight, bias = np.zeros((len(KINDS), READINGS, rows.shape[2]), np.float32), np.zeros((len(KINDS), READINGS))
    for kind in range(len(KINDS)):
        there = seen[:, :, kind] > 0
        own, centre = ridge(scaled[there], where[:, :, kind][there], PENALTY)
        weight[kind] = np.concatenate([sure[:, kind, None], own], 1).T
        bias[kind] = np.concatenate([share[kind, None], centre])
    weight /= std  # the readings are of features as they are
    layer = nn.Linear(rows.shape[2], len(KINDS) * READINGS)
    layer.weight.data.copy_(torch.from_numpy(weight.reshape(-1, rows.shape[2])))
    layer.bias.data.copy_(torch.from_numpy((bias - weight @ mean).reshape(-1)))
    return layer.requires_grad_(False)
