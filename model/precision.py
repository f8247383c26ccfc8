"""What products are computed in on a CPU: float32, or bfloat16 where the processor is faster in it."""

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
    """What is asked for, or float32 where the processor is not faster in bfloat16: then one warning says so."""
    if precision == "bf16" and not has_bf16():
        _warn_without_bf16()
        return "float32"
    return precision


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32, by instructions of its own."""
    if sys.platform == "linux":  # PyTorch asks the same, but takes seconds and 0.3 GB to be imported
        return bf16_pays(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"))
    import torch

    return bool(hasattr(torch.cpu, "_is_amx_tile_supported") and torch.cpu._is_amx_tile_supported())


def bf16_pays(cpuinfo: str) -> bool:
    """`has_bf16` of a processor as Linux describes it: one with AMX, or AMD's AVX-512 BF16.

    Intel's AVX-512 BF16 without AMX, as in virtual machines that hide it, makes no more products than float32 does: a
    Xeon took 1.4 times as long as in float32. Without any of these instructions another processor took 200 times.
    """
    flags = re.search(r"^flags\s*:(.*)", cpuinfo, re.M)
    found = set(flags[1].split()) if flags else set()
    return "amx_tile" in found or ("avx512_bf16" in found and "AuthenticAMD" in cpuinfo)


@cache
def _warn_without_bf16() -> None:
    LOG.warning("This processor is not faster in bfloat16: networks are computed in float32.")
