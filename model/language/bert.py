"""BERT's encoder for short texts on a CPU, in a third to two thirds of the time that transformers' `BertModel` takes.

Only real pieces are computed: those of a batch lie one after the other, and nothing but attention, which is small for
sentences, sees padding. Query, key and value are one product. Weights lie in the order in which oneDNN reads them; a
product of a few rows is bound by reading them, and would else spend most of its time on reordering them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from torch import nn
    from transformers import BertModel


class _Linear:
    """x W + b for x (P, in), with layers of one input side by side as one."""

    _ROWS = 64
    """P that oneDNN chooses the order of weights for; any other is right too."""

    def __init__(self, *layers: nn.Linear) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self._bias = torch.cat([layer.bias.detach() for layer in layers])
        self._packed = torch.backends.mkldnn.is_available()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, self._ROWS) if self._packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed:
            return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return functional.linear(x, self._weight, self._bias)


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, layer: nn.LayerNorm) -> _Norm:
        return cls(layer.weight, layer.bias, layer.eps)

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.bias.shape, self.weight, self.bias, self.eps)


class BertOnCpu:
    """See the module; made from a `BertModel` on the CPU, whose weights it copies. May be called from several threads.

    It knows GELU, absolute positions and no second segment, which is plain BERT: `supports` asks for that.
    """

    def __init__(self, bert: BertModel) -> None:
        embeddings: Any = bert.embeddings
        layers: Any = bert.encoder.layer
        self._heads = bert.config.num_attention_heads
        self._pieces = embeddings.word_embeddings.weight
        # Every piece is of segment 0, whose vector thus belongs to every position.
        segment = embeddings.token_type_embeddings.weight[0]
        self._positions = embeddings.position_embeddings.weight + segment
        self._norm = _Norm.of(embeddings.LayerNorm)
        self._layers = [
            (
                _Linear(layer.attention.self.query, layer.attention.self.key, layer.attention.self.value),
                _Linear(layer.attention.output.dense),
                _Norm.of(layer.attention.output.LayerNorm),
                _Linear(layer.intermediate.dense),
                _Linear(layer.output.dense),
                _Norm.of(layer.output.LayerNorm),
            )
            for layer in layers
        ]

    @staticmethod
    def supports(model: object) -> bool:
        """Whether `model` is a plain BERT encoder on the CPU."""
        config = getattr(model, "config", None)
        return (
            type(model).__name__ == "BertModel"
            and config is not None
            and config.hidden_act == "gelu"
            and getattr(config, "position_embedding_type", "absolute") == "absolute"
            and not config.is_decoder
            and str(getattr(model, "device", "")) == "cpu"
        )

    @torch.inference_mode()
    def __call__(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states (B, L, d) of `pieces` (B, L), zeros where `mask` (B, L) is 0: no real piece."""
        b, length = pieces.shape
        real = mask.bool()
        places = real.flatten().nonzero().squeeze(1)  # (P,) of B * L
        padded = len(places) < b * length
        x = self._norm(self._pieces[pieces.flatten()[places]] + self._positions[places % length])  # (P, d)
        d = x.shape[1]
        bias = torch.zeros(b, 1, 1, length).masked_fill_(~real.view(b, 1, 1, length), -torch.inf) if padded else None

        def spread(rows: Tensor) -> Tensor:
            """(P, n) -> (B * L, n), zeros for padding."""
            return rows.new_zeros(b * length, rows.shape[1]).index_copy_(0, places, rows) if padded else rows

        for qkv, after_attention, norm_attention, widen, narrow, norm in self._layers:
            heads = spread(qkv(x)).view(b, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], bias)  # (B, H, L, d / H)
            seen = seen.transpose(1, 2).reshape(b * length, d)
            x = norm_attention(after_attention(seen[places] if padded else seen).add_(x))
            x = norm(narrow(functional.gelu(widen(x))).add_(x))
        return spread(x).view(b, length, d)
