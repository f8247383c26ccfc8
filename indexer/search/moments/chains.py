"""The best chains of clips, by dynamic programming: one clip per moment, each after the previous one, in one video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.search.moments.timeline import Timeline, largest
from indexer.search.question import Floats
from indexer.search.survivors import Positions


def prefixes(timeline: Timeline, scores: Floats, within: Sequence[float]) -> Floats:
    """For every moment m and clip i the highest sum of scores of a chain of the moments 0 .. m that ends with i.

    scores  (M, n): what each clip scores at each moment, -inf for one that cannot be it
    within  (M,): seconds at most from the end of the clip before; the first is not used
    (M, n); -inf where there is no such chain.
    """
    sums = np.array(scores, dtype=np.float64)
    for moment in range(1, len(sums)):
        sums[moment] += largest(sums[moment - 1][timeline.by_end], *timeline.before(within[moment]))
    return sums


def suffixes(timeline: Timeline, scores: Floats, within: Sequence[float]) -> Floats:
    """As `prefixes`, of the chains of the moments m .. M - 1 that begin with clip i."""
    sums = np.array(scores, dtype=np.float64)
    for moment in reversed(range(len(sums) - 1)):
        sums[moment] += largest(sums[moment + 1], *timeline.after(within[moment + 1]))
    return sums


def chain_ending_with(
    timeline: Timeline, sums: Floats, windows: Sequence[tuple[Positions, Positions]], clip: int
) -> list[int]:
    """The clips of the best chain that ends with `clip`, from what `prefixes` gave; of equals the earliest.

    windows  `timeline.before` of every moment's `within`
    """
    chain = [clip]
    for moment in reversed(range(1, len(sums))):
        first, last = windows[moment]
        before = timeline.by_end[first[chain[0]] : last[chain[0]]]
        chain.insert(0, int(before[np.argmax(sums[moment - 1][before])]))
    return chain
