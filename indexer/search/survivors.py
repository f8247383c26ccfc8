"""What a search keeps before it knows the true order: rows, and between what their scores are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Survivors:
    """Rows, ascending, that may be among the first k of one query; where known, what they score at least and most."""

    rows: Positions
    low: Scores | None = None
    high: Scores | None = None

    def within(self, least: float) -> Survivors:
        """Those that may score `least` or more."""
        assert self.low is not None
        assert self.high is not None
        near = self.high >= least
        return Survivors(self.rows[near], self.low[near], self.high[near])

    def least(self, k: int) -> float:
        """What the first k of them score at least."""
        assert self.low is not None
        return kth_largest(self.low, k)


def kth_largest(scores: Scores, k: int) -> float:
    """-inf for fewer scores than k."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else -np.inf
