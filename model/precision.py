"""What products are computed in on a CPU: float32, or bfloat16 where the processor has instructions for it."""

from __future__ import annotations

import logging
import re
import sys
from functools import cache
from pathlib import Path
from typing import Literal, get_args

LOG = logging.getLogger(__name__)

Precision = Literal["float32", "bf16"]
"""Weights and results are float32 in any case."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BF16_BOUND = 1e-3
"""1 - cosine: the most that a vector of a network computed in bfloat16 may turn from that of float32.

Within it vectors of both can be compared, so that the precision is not part of a model's fingerprint: models that were
measured turn theirs by less than a tenth of it, and other frames of the same clip are tens of times as far apart
(docs/performance.md). A network past it is computed in float32 (`model.cpu_backend`).
"""


def usable_precision(precision: Precision) -> Precision:
    """What is asked for, or float32 where the processor has no instructions for bfloat16: then one warning says so.

    Without them bfloat16 is slower than float32, on a processor that was measured 200 times.
    """
    if precision == "bf16" and not has_bf16():
        _warn_without_bf16()
        return "float32"
    return precision


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 by instructions of its own: AVX-512 BF16 or AMX."""
    if sys.platform == "linux":  # PyTorch asks the same, but takes seconds and 0.3 GB to be imported
        flags = re.search(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"), re.M)
        return flags is not None and not {"avx512_bf16", "amx_tile"}.isdisjoint(flags[1].split())
    import torch

    supported = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name)() for name in supported if hasattr(torch.cpu, name))


@cache
def _warn_without_bf16() -> None:
    LOG.warning("This processor has no instructions for bfloat16: networks are computed in float32.")
