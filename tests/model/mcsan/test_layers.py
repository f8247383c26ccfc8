"""Dropout of this project's own, and attention in training, against PyTorch's."""

import pytest
import torch

from model.mcsan.layers import Dropout, RelationEncoder


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_hides_its_share_and_scales_the_rest(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(333, 33, requires_grad=True)  # no multiple of the four values of a draw
    dropped = Dropout(p)(x)
    kept = dropped != 0
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(kept.float().mean() - (1 - p)) < 4 * deviation
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / (1 - p)), rtol=2e-4, atol=0)
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, dropped.detach())
    # Neighbours come from one draw: they must not follow each other.
    both = (kept[:, 1:] & kept[:, :-1]).float().mean()
    assert abs(both - (1 - p) ** 2) < 6 * deviation
    assert (Dropout(p)(x) != dropped).any()


def test_dropout_of_a_finished_model_does_nothing() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x


def test_attention_in_training_is_that_of_a_finished_model_but_for_dropout() -> None:
    torch.manual_seed(0)
    encoder = RelationEncoder(6, 8, heads=2, dropout=0.5).double()
    encoder.dropout.p = 0.0
    x, mask = torch.randn(3, 5, 6).double(), torch.arange(5) < torch.tensor([[5], [0], [2]])
    trained = encoder(x, mask)
    torch.testing.assert_close(trained, encoder.eval()(x, mask))
