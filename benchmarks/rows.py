"""A line of the table of `benchmarks.gpu_check`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    what: str
    value: str
    note: str = ""
