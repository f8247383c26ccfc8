"""Each loss against `reference.py`: loops in float64 that share no code with it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.mcsan.config import LossConfig
from model.mcsan.losses import concept_loss, hinge_loss, info_nce, kl_loss, ranking_loss
from tests.model.mcsan import reference

seeds = st.integers(0, 2**31)
examples = settings(max_examples=40, deadline=None, derandomize=True)
exactly = {"rel": 1e-10, "abs": 1e-12}


def made_scores(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Random scores and which pairs are negatives; a pair may have none at all."""
    rng = np.random.default_rng(seed)
    negative = rng.random((size, size)) < rng.random()
    np.fill_diagonal(negative, False)
    return rng.standard_normal((size, size)), negative


@examples
@given(seed=seeds, size=st.integers(1, 6), hardest=st.booleans(), margin=st.floats(0, 1))
def test_hinge(seed: int, size: int, hardest: bool, margin: float) -> None:
    s, negative = made_scores(seed, size)
    got = hinge_loss(torch.from_numpy(s), torch.from_numpy(negative), margin, hardest)
    assert got.item() == pytest.approx(reference.hinge(s, negative, margin, hardest), **exactly)


@examples
@given(seed=seeds, size=st.integers(1, 6), temperature=st.floats(0.02, 1))
def test_info_nce(seed: int, size: int, temperature: float) -> None:
    s, negative = made_scores(seed, size)
    got = info_nce(torch.from_numpy(s), torch.from_numpy(negative), temperature)
    assert got.item() == pytest.approx(reference.info_nce(s, negative, temperature), **exactly)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hardest", lambda s, n: reference.hinge(s, n, 0.25, True)),
        ("sum", lambda s, n: reference.hinge(s, n, 0.25, False)),
        ("infonce", lambda s, n: reference.info_nce(s, n, 0.1)),
    ],
)
def test_the_configuration_names_the_ranking_loss(name: str, expected: Callable[..., float]) -> None:
    s, negative = made_scores(1, 5)
    config = LossConfig(ranking=name)
    got = ranking_loss(torch.from_numpy(s), torch.from_numpy(negative), config, torch.tensor(0.1).double())
    assert got.item() == pytest.approx(expected(s, negative), rel=1e-7)


@examples
@given(
    seed=seeds,
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6)),
    mode=st.sampled_from(("focal", "literal", "off")),
    alpha=st.floats(0.05, 0.95),
    gamma=st.sampled_from((0.0, 1.0, 2.0, 3.5)),
)
def test_concept_loss(seed: int, shape: tuple[int, int], mode: str, alpha: float, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal(shape) * 4, (rng.random(shape) < 0.3).astype(float)
    config = LossConfig(focal=mode, focal_alpha=alpha, focal_gamma=gamma)
    got = concept_loss(torch.from_numpy(logits), torch.from_numpy(labels), config)
    assert got.item() == pytest.approx(reference.focal_bce(logits, labels, mode, alpha, gamma), **exactly)


@pytest.mark.parametrize("mode", ["focal", "literal", "off"])
def test_concept_loss_survives_any_logit(mode: str) -> None:
    logits = torch.tensor([[-200.0, 200.0, -200.0, 200.0]], requires_grad=True)
    concept_loss(logits, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), LossConfig(focal=mode)).backward()
    assert torch.isfinite(logits.grad).all()


@examples
@given(seed=seeds, rows=st.integers(1, 4), dim=st.integers(1, 6))
def test_kl(seed: int, rows: int, dim: int) -> None:
    v, t = np.random.default_rng(seed).standard_normal((2, rows, dim)) * 3
    there = sum(reference.kl(a, b) for a, b in zip(v, t, strict=True)) / rows
    back = sum(reference.kl(b, a) for a, b in zip(v, t, strict=True)) / rows
    sides = torch.from_numpy(v), torch.from_numpy(t)
    assert kl_loss(*sides, symmetric=False).item() == pytest.approx(there, **exactly)
    assert kl_loss(*sides, symmetric=True).item() == pytest.approx((there + back) / 2, **exactly)
