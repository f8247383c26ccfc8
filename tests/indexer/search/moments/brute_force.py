"""Chains by trying them all, in Python's numbers: what the dynamic program has to equal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from indexer.search.filters import ClipTable
from indexer.search.moments.chains import chain_ending_with, prefixes
from indexer.search.moments.timeline import Timeline


def best_by_trying(table: ClipTable, scores: np.ndarray, within: Sequence[float]) -> dict[int, float]:
    """The highest sum of a chain by the id of its last clip. scores (M, n), in the order of the table."""
    clips = range(len(table.ids))
    best: dict[int, float] = {}
    for chain in itertools.product(clips, repeat=len(scores)):
        follows = all(
            table.video_ids[a] == table.video_ids[b] and -0.001 <= table.starts[b] - table.ends[a] <= seconds + 0.001
            for a, b, seconds in zip(chain, chain[1:], within[1:], strict=False)
        )
        total = sum(scores[moment][clip] for moment, clip in enumerate(chain))
        if follows and total > -np.inf:
            last = int(table.ids[chain[-1]])
            best[last] = max(best.get(last, -np.inf), total)
    return best


def random_case(rng: np.random.Generator) -> tuple[ClipTable, np.ndarray, list[float]]:
    """A few clips of one to three videos, at whole and half seconds so that ends meet beginnings, one to four moments.

    Some clips cannot be some moments. Times are multiples of a half, so that no difference is near the tolerance.
    """
    moments = int(rng.integers(1, 5))
    n = int(rng.integers(1, {1: 8, 2: 8, 3: 7, 4: 5}[moments]))
    starts = rng.integers(0, 12, n) / 2
    ends = starts + rng.integers(1, 7, n) / 2
    ids = rng.permutation(np.arange(1, n + 1)).astype(np.int64)
    table = ClipTable(ids, rng.integers(1, 4, n).astype(np.int64), starts, ends)
    scores = rng.integers(-8, 9, (moments, n)) / 8
    scores[rng.random(scores.shape) < 0.15] = -np.inf
    return table, scores, [0.0, *(float(gap) for gap in rng.integers(0, 6, moments - 1) / 2)]


def check(rng: np.random.Generator) -> None:
    """One random case: the same sums for the same last clips, and chains that have these sums."""
    table, scores, within = random_case(rng)
    timeline = Timeline.of(table)
    place = {int(item): i for i, item in enumerate(table.ids)}
    own = scores[:, [place[int(item)] for item in timeline.ids]]
    sums = prefixes(timeline, own, within)
    expected = best_by_trying(table, scores, within)
    found = {int(timeline.ids[i]): float(sums[-1][i]) for i in np.flatnonzero(sums[-1] > -np.inf)}
    assert found == expected, (table, scores, within)
    windows = [timeline.before(seconds) for seconds in within]
    for last in np.flatnonzero(sums[-1] > -np.inf):
        chain = chain_ending_with(timeline, sums, windows, int(last))
        assert sum(own[moment][clip] for moment, clip in enumerate(chain)) == expected[int(timeline.ids[last])]
