"""Our forward pass of BERT beside transformers' own, on random weights."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel

from model.language.bert import BertOnCpu


def random_bert(**changes: object) -> BertModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 90, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = BertConfig(**sizes, intermediate_size=64, max_position_embeddings=40, **changes)
    bert = BertModel(config).eval()
    for parameter in bert.parameters():  # norms and biases begin as ones and zeros, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.3)
    return bert


@pytest.mark.parametrize("lengths", [[7], [7, 7, 7], [1, 9, 3, 40], [2] * 33])
def test_gives_what_transformers_gives(lengths: list[int]) -> None:
    bert = random_bert()
    pieces = torch.randint(1, 90, (len(lengths), max(lengths)))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    with torch.inference_mode():
        expected = bert(input_ids=pieces, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
    torch.testing.assert_close(BertOnCpu(bert)(pieces, mask), expected, atol=2e-5, rtol=1e-5)


def test_what_stands_in_the_padding_makes_no_difference() -> None:
    own = BertOnCpu(random_bert())
    pieces, mask = torch.randint(1, 90, (2, 6)), torch.tensor([[1] * 6, [1] * 2 + [0] * 4])
    other = torch.where(mask == 1, pieces, 5)
    assert torch.equal(own(pieces, mask), own(other, mask))


def test_products_are_packed_where_onednn_is() -> None:
    # The order of oneDNN's weights is behind names that PyTorch does not promise: this says when they have gone.
    assert torch.backends.mkldnn.is_available()
    assert hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def test_knows_what_it_does_not_support() -> None:
    assert BertOnCpu.supports(random_bert())
    assert not BertOnCpu.supports(random_bert(hidden_act="relu"))
    assert not BertOnCpu.supports(random_bert(is_decoder=True))
    assert not BertOnCpu.supports(torch.nn.Linear(2, 2))


def test_plain_weights_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bert = random_bert()
    pieces, mask = torch.randint(1, 90, (3, 5)), torch.ones(3, 5, dtype=torch.long)
    packed = BertOnCpu(bert)(pieces, mask)
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    torch.testing.assert_close(BertOnCpu(bert)(pieces, mask), packed, atol=2e-5, rtol=1e-5)
