"""The fold equals circular correlation + FC, written out as loops in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.holographic import HolographicHead


def loop_score(v: np.ndarray, t: np.ndarray, h: np.ndarray) -> float:
    """h . (v * t) by the definition, [v * t]_k = sum_i v_i t_{(k+i) mod d}."""
    d = len(v)
    return sum(h[k] * sum(v[i] * t[(k + i) % d] for i in range(d)) for k in range(d))


@settings(max_examples=60, deadline=None)
@given(dim=st.integers(1, 13), seed=st.integers(0, 2**31))
def test_both_folds_equal_the_definition(dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    v, t, h = rng.standard_normal((3, dim))
    head = HolographicHead(dim, 1.0).double()
    head.weight.data = torch.from_numpy(h)
    expected = loop_score(v, t, h)
    video, text = torch.from_numpy(v)[None], torch.from_numpy(t)[None]
    assert (video @ head.fold_text(text).T).item() == pytest.approx(expected, abs=1e-6)
    assert (text @ head.fold_video(video).T).item() == pytest.approx(expected, abs=1e-6)
    assert head(video, text).item() == pytest.approx(expected, abs=1e-6)


def test_starts_as_a_scaled_dot_product() -> None:
    head = HolographicHead(8, 3.0)
    v, t = torch.randn(4, 8), torch.randn(5, 8)
    torch.testing.assert_close(head(v, t), 3 * v @ t.T)
