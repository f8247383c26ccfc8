"""Leaves out moments that repeat a better one: that overlap or touch it, look alike, or are too many of one video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from indexer.search.moments.best_moments import Chain
from indexer.search.moments.timeline import Timeline
from indexer.search.question import Floats
from model.levels import LevelSpec, Vectors

MIN_SIMILARITY = 0.98
"""Two clips look alike if the mean of the cosines of their levels is at least this."""

_TIME_TOLERANCE = 500_000
"""Microseconds between two moments that count as one."""


@dataclass
class DistinctChain:
    """A chain that is shown, and what it stands for: the first clips of chains that rank behind it."""

    chain: Chain
    alike: list[int] = field(default_factory=list)


def distinct_chains(
    ranked: Callable[[int], Sequence[Chain]],
    count: int,
    timeline: Timeline,
    vectors: Callable[[Sequence[int]], Vectors],
    specs: Sequence[LevelSpec],
    per_video: int | None,
) -> list[DistinctChain]:
    """The first `count` chains that no better one stands for, in their order.

    ranked   gives the best chains, so many, or all there are
    vectors  the stored vectors of clips
    A chain stands for those behind it in the same video that overlap or touch it, for those that look like it, and,
    from `per_video` of a video on, the first of them for the others of that video. What is shown does not depend on
    `count`: a longer answer goes on where a shorter one ends.
    """
    depth = 4 * count
    while True:
        chains = ranked(depth)
        distinct = _folded(chains, timeline, vectors, specs, per_video)
        if len(distinct) >= count or len(chains) < depth:
            return distinct[:count]
        depth *= 4


def _folded(
    chains: Sequence[Chain],
    timeline: Timeline,
    vectors: Callable[[Sequence[int]], Vectors],
    specs: Sequence[LevelSpec],
    per_video: int | None,
) -> list[DistinctChain]:
    if not chains:
        return []
    places = timeline.places(np.array([hit.id for chain in chains for hit in chain.hits], np.int64))
    past = np.cumsum([len(chain.hits) for chain in chains])
    begin = np.concatenate(([0], past[:-1]))
    # The catalogue is live and the generation is not: a clip may have gone since.
    known = np.minimum.reduceat(places, begin) >= 0
    chains = [chain for chain, is_known in zip(chains, known.tolist(), strict=True) if is_known]
    if not chains:
        return []
    firsts = [chain.hits[0].id for chain in chains]
    looks = _looks(vectors(firsts), specs)
    first, last = places[begin][known], places[past - 1][known]
    spans = np.stack((timeline.videos[first], timeline.starts[first], timeline.ends[last]), axis=1).tolist()

    distinct: list[DistinctChain] = []
    shown = np.empty_like(looks)
    times: list[tuple[int, int, int]] = []
    for number, (chain, (video, start, end)) in enumerate(zip(chains, spans, strict=True)):
        same = [i for i, (other, _, _) in enumerate(times) if other == video]
        near = next(
            (i for i in same if times[i][1] <= end + _TIME_TOLERANCE and start <= times[i][2] + _TIME_TOLERANCE), None
        )
        if near is None and distinct and len(chain.hits) == 1:
            # Whether chains look alike is asked of their first clips, which only one moment makes sure of.
            likeness = shown[: len(distinct)] @ looks[number]
            best = int(np.argmax(likeness))
            near = best if likeness[best] >= MIN_SIMILARITY else None
        if near is None and per_video is not None and len(same) >= per_video:
            near = same[0]
        if near is None:
            shown[len(distinct)] = looks[number]
            distinct.append(DistinctChain(chain))
            times.append((video, start, end))
        else:
            distinct[near].alike.append(firsts[number])
    return distinct


def _looks(vectors: Vectors, specs: Sequence[LevelSpec]) -> Floats:
    """Rows whose inner products are the mean cosines of the levels that clips have: (n, sum of d_l)."""
    rows = []
    for spec in specs:
        row = vectors[spec.name].astype(np.float64)
        length = np.linalg.norm(row, axis=1, keepdims=True)
        rows.append(np.where(length > 0, row / np.where(length > 0, length, 1), 0))
    together = np.concatenate(rows, axis=1)
    return together / np.maximum(np.linalg.norm(together, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def apart(chain: Chain, timeline: Timeline, most: int) -> list[int]:
    """Of a film's best clips, by their places in (best, *others), the first `most` that are apart, in order of time."""
    hits = (chain.hits[0], *chain.others)
    places = timeline.places(np.array([hit.id for hit in hits], np.int64))
    chosen: list[int] = []
    for i, place in enumerate(places.tolist()):
        start, end = timeline.starts[place], timeline.ends[place]
        if len(chosen) == most:
            break
        if all(
            start > timeline.ends[places[j]] + _TIME_TOLERANCE or end + _TIME_TOLERANCE < timeline.starts[places[j]]
            for j in chosen
        ):
            chosen.append(i)
    return sorted(chosen, key=lambda i: int(timeline.starts[places[i]]))
