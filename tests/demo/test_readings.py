"""What is where in a frame, read from features that hold it."""

import numpy as np
import torch

from demo.readings import fit_readings, places
from demo.world import KINDS, sample_split
from model.mcsan.ordered_pairs import READINGS


def test_places_are_read_from_features_that_mix_them() -> None:
    specs = sample_split("train", 120, 0)
    seen, where = places(specs, 8)
    truth = np.concatenate([seen[..., None], where * seen[..., None]], -1).reshape(120, 8, -1)
    mixed = truth @ np.random.default_rng(0).standard_normal((truth.shape[-1], 300)) + 3
    layer = fit_readings(torch.from_numpy(mixed.astype(np.float32)), specs)
    read = layer(torch.from_numpy(mixed.astype(np.float32))).unflatten(-1, (len(KINDS), READINGS)).numpy()
    assert not layer.weight.requires_grad
    assert np.abs(read[..., 0] - seen).mean() < 0.02
    there = seen > 0
    assert np.abs(read[..., 1:] - where)[there].mean() < 0.1
    assert read[..., 0][there].min() > 0.5 > read[..., 0][~there].max()
