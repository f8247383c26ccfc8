"""Training on several GPUs: rows of every process joined, so that all of a batch are each other's negatives."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor, distributed
from torch.nn import functional as fn

T = TypeVar("T")


def is_first_process() -> bool:
    """Whether this process is the one that speaks and writes. Each further GPU runs the same command next to it."""
    return getattr(rank_zero_only, "rank", 0) == 0


def gather_rows(rows: T) -> T:
    """Tensors (dicts and tuples of them, too) of every process joined along dimension 0, in order of rank.

    Every process gets the same joined rows, its own with their gradients: where each then computes the loss of the
    joined batch, the gradients that DistributedDataParallel averages are those of one process with the whole batch.
    Other dimensions are padded with zeros to the longest. One process alone gets its rows back.
    """
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return rows
    return apply_to_collection(rows, Tensor, _gather)


def _gather(x: Tensor) -> Tensor:
    own = torch.tensor(x.shape, device=x.device)
    shapes = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(shapes, own)
    longest = torch.stack(shapes).amax(0).tolist()
    padding = [p for size, most in zip(reversed(x.shape), reversed(longest), strict=True) for p in (0, most - size)]
    parts = _AllGather.apply(fn.pad(x, padding).contiguous())
    return torch.cat([part[: int(shape[0])] for part, shape in zip(parts, shapes, strict=True)])


class _AllGather(torch.autograd.Function):
    """all_gather whose backward pass sums what every process found for this one's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, ...]:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x)
        return tuple(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = torch.stack(gradients)
        distributed.all_reduce(total)
        return total[distributed.get_rank()]
