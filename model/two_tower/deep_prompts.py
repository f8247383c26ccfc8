"""Learned vectors that stand in every layer of a frozen tower (Jia et al., "Visual Prompt Tuning", ECCV 2022, deep).

They are put behind the first state before a layer and taken away after it, so that nothing else of the tower changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from model.two_tower.towers import TwoTower
from quartet.errors import InputError

CAUSAL = {"clip": True, "metaclip_2": True, "siglip": False}
"""The models of transformers whose towers can have prompts, and whether a word of a text sees only those before it."""


class DeepPrompts(nn.Module):
    """`count` vectors of width `dim` for each of `layers` layers."""

    def __init__(self, layers: int, count: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(0.02 * torch.randn(layers, count, dim))

    @contextmanager
    def inside(self, layers: Sequence[nn.Module], causal: bool) -> Iterator[None]:
        """While it lasts, they stand in the layers of a tower."""
        with ExitStack() as hooks:
            for layer, vectors in zip(layers, self.vectors, strict=True):
                hooks.callback(layer.register_forward_pre_hook(_Inserting(vectors, causal)).remove)
                hooks.callback(layer.register_forward_hook(_Removing(len(vectors))).remove)
            yield


class _Inserting:
    def __init__(self, vectors: Tensor, causal: bool) -> None:
        self.vectors, self.causal = vectors, causal

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        states, mask, *rest = inputs
        own = self.vectors.to(states.dtype).expand(len(states), -1, -1)
        wider = None if mask is None else widened(mask, len(self.vectors), self.causal)
        return (torch.cat([states[:, :1], own, states[:, 1:]], 1), wider, *rest)


class _Removing:
    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...], states: Tensor) -> Tensor:
        return torch.cat([states[:, :1], states[:, 1 + self.count :]], 1)


def widened(mask: Tensor, count: int, causal: bool) -> Tensor:
    """A mask of attention (B, 1, L, L) with `count` places behind the first, which all places that may see them see.

    Bool, True where a row sees a column; or numbers to add, 0 there.
    """
    seen: Any = True if mask.dtype == torch.bool else 0.0
    length = mask.shape[-1] + count
    wider = mask.new_full((*mask.shape[:2], length, length), seen)
    old = torch.tensor([0, *range(1 + count, length)], device=mask.device)
    wider[:, :, old.unsqueeze(1), old] = mask
    wider[:, :, 1 : 1 + count, old] = mask[:, :, :1]  # a prompt sees what the first place sees
    if causal:
        hidden: Any = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
        later = torch.ones(count, count, dtype=torch.bool, device=mask.device).triu(1)
        wider[:, :, 1 : 1 + count, 1 : 1 + count].masked_fill_(later, hidden)
        wider[:, :, 0, 1 : 1 + count] = hidden
    return wider


def layers_of(tower: TwoTower) -> tuple[Sequence[nn.Module], Sequence[nn.Module], bool]:
    """The layers of the picture and of the text tower, and whether texts are read from left to right alone.

    Raises InputError for a model that cannot have prompts.
    """
    kind = getattr(getattr(tower.net, "config", None), "model_type", "")
    if kind not in CAUSAL:
        raise InputError(
            f"Prompts can stand in CLIP and SigLIP models of transformers, not in a {tower.network.class_name}."
        )
    net: Any = tower.net
    return net.vision_model.encoder.layers, net.text_model.encoder.layers, CAUSAL[kind]
