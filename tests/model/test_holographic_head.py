"""The fold equals circular correlation and FC, written out as loops in float64 (`reference.py`)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.holographic_head import HolographicHead
from tests.model.mcsan import reference


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dim=st.integers(1, 24), seed=st.integers(0, 2**31))
def test_both_folds_equal_the_definition(dim: int, seed: int) -> None:
    """To 1e-12 in double, to 1e-6 in single precision, relative to the lengths of what is multiplied."""
    v, t, h = np.random.default_rng(seed).standard_normal((3, dim))
    expected = reference.holographic(v, t, h)
    size = np.linalg.norm(v) * np.linalg.norm(t) * np.abs(h).sum()
    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        head = HolographicHead(dim, 1.0).to(dtype)
        head.weight.data = torch.from_numpy(h).to(dtype)
        video, text = torch.from_numpy(v)[None].to(dtype), torch.from_numpy(t)[None].to(dtype)
        for found in (video @ head.fold_text(text).T, text @ head.fold_video(video).T, head(video, text)):
            assert found.item() == pytest.approx(expected, abs=error * size)


def test_a_batch_is_every_pair() -> None:
    rng = np.random.default_rng(0)
    videos, texts, h = rng.standard_normal((4, 7)), rng.standard_normal((5, 7)), rng.standard_normal(7)
    head = HolographicHead(7, 1.0).double()
    head.weight.data = torch.from_numpy(h)
    expected = [[reference.holographic(v, t, h) for t in texts] for v in videos]
    np.testing.assert_allclose(
        head(torch.from_numpy(videos), torch.from_numpy(texts)).detach(), expected, rtol=0, atol=1e-12
    )


def test_starts_as_a_scaled_dot_product() -> None:
    head = HolographicHead(8, 3.0)
    v, t = torch.randn(4, 8), torch.randn(5, 8)
    torch.testing.assert_close(head(v, t), 3 * v @ t.T)
