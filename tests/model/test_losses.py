"""Each loss against loops in float64 that share no code with it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import LossConfig
from model.losses import concept_loss, hinge_loss, info_nce, kl_loss


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.integers(2, 6), hardest=st.booleans())
def test_hinge(seed: int, size: int, hardest: bool) -> None:
    rng = np.random.default_rng(seed)
    s = rng.standard_normal((size, size))
    negative = rng.random((size, size)) < 0.7
    np.fill_diagonal(negative, False)
    reduce = max if hardest else sum
    expected = 0.0
    for i in range(size):
        texts = [max(0.0, 0.25 + s[i, j] - s[i, i]) for j in range(size) if negative[i, j]]
        videos = [max(0.0, 0.25 + s[j, i] - s[i, i]) for j in range(size) if negative[j, i]]
        expected += (reduce(texts) if texts else 0) + (reduce(videos) if videos else 0)
    got = hinge_loss(torch.from_numpy(s), torch.from_numpy(negative), 0.25, hardest)
    assert got.item() == pytest.approx(expected / size)


def test_info_nce_leaves_false_negatives_out() -> None:
    s = np.random.default_rng(0).standard_normal((4, 4))
    negative = ~np.eye(4, dtype=bool)
    negative[0, 1] = negative[1, 0] = False
    expected = 0.0
    for i in range(4):
        row = sum(math.exp(s[i, j] / 0.1) for j in range(4) if negative[i, j] or i == j)
        column = sum(math.exp(s[j, i] / 0.1) for j in range(4) if negative[j, i] or i == j)
        expected -= 0.5 * (2 * s[i, i] / 0.1 - math.log(row) - math.log(column)) / 4
    assert info_nce(torch.from_numpy(s), torch.from_numpy(negative), 0.1).item() == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["focal", "literal", "off"])
def test_concept_loss(mode: str) -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((3, 5)) * 3, (rng.random((3, 5)) < 0.3).astype(float)
    alpha, gamma, total = 0.25, 2.0, 0.0
    for x, y in zip(logits.ravel(), labels.ravel(), strict=True):
        p = sigmoid(x)
        if y:
            total -= (1 if mode == "off" else alpha * (1 - p) ** gamma) * math.log(p)
        else:
            weight = {"off": 1, "focal": (1 - alpha) * p**gamma, "literal": alpha * (1 - p) ** gamma}[mode]
            total -= weight * math.log(1 - p)
    got = concept_loss(torch.from_numpy(logits), torch.from_numpy(labels), LossConfig(focal=mode))
    assert got.item() == pytest.approx(total / 15)


def test_kl() -> None:
    rng = np.random.default_rng(2)
    v, t = rng.standard_normal((2, 3, 4))
    p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (t, v))
    forward, backward = (p * np.log(p / q)).sum() / 3, (q * np.log(q / p)).sum() / 3
    args = torch.from_numpy(v), torch.from_numpy(t)
    assert kl_loss(*args, symmetric=False).item() == pytest.approx(forward)
    assert kl_loss(*args, symmetric=True).item() == pytest.approx((forward + backward) / 2)
