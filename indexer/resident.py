"""The half-precision rows of a gallery on a torch device; on the CPU they are the mapped files, uncopied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.segment import Segment

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Resident:
    """half: {level: (n, d_l) float16} and present: (L, n) bool, one entry per segment."""

    device: str
    half: list[dict[str, torch.Tensor]]
    present: list[torch.Tensor]


def make_resident(segments: Sequence[Segment], device: str) -> Resident:
    import torch

    half = [{name: torch.from_numpy(rows).to(device) for name, rows in segment.half.items()} for segment in segments]
    present = [torch.from_numpy(np.ascontiguousarray(segment.present.T)).to(device) for segment in segments]
    return Resident(device, half, present)
