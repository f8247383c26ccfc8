"""Lines of the table of `benchmarks.gpu.check`, and how its times and agreements are measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Row:
    what: str
    value: str
    note: str = ""


def p50(calls: Sequence[Callable[[], object]], device: torch.device) -> float:
    """Median seconds of the calls, after warming up with the first ones."""
    for call in calls[:3]:
        call()
    times = []
    for call in calls:
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def agreement(one: torch.Tensor, other: torch.Tensor) -> str:
    """The lowest cosine between rows of the same number."""
    return f"{torch.cosine_similarity(one.double().cpu(), other.double().cpu()).min().item():.7f}"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
