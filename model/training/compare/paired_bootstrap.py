"""How sure a difference of SumR between two models is: a paired bootstrap over the test videos (Efron 1979).

Both models are measured on the same drawn videos, with all captions of each, so what makes a video easy for both
cancels. The gallery stays whole. The interval is that of other test videos of the same kind; seeds vary besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.evaluation.metrics import Retrieval
from model.evaluation.relevance import Index

RESAMPLES = 10_000
_RESAMPLES_PER_BLOCK = 500
_CUTOFFS = (1, 5, 10)

VideoCounts = list[list[int]]
"""Of every test video: how many captions it has, how many hits they are at 1, 5 and 10 together, and how many the video
itself is."""


@dataclass(frozen=True)
class Difference:
    """Of SumR, first minus second: the mean over `seeds` seeds, and the middle 95% of its bootstrap."""

    mean: float
    low: float
    high: float
    seeds: int


def video_counts(measured: Retrieval, owner: Index) -> VideoCounts:
    """What the SumR of one run is made of, video by video; caption i was written for video owner[i]."""
    texts, videos = (
        np.sum([side.best_ranks <= k for k in _CUTOFFS], axis=0)
        for side in (measured.text_to_video, measured.video_to_text)
    )
    size = len(videos)
    captions = np.bincount(owner, minlength=size)
    found = np.bincount(owner, weights=texts, minlength=size)
    rows: VideoCounts = np.stack([captions, found, videos], axis=1).astype(np.int64).tolist()
    return rows


def sum_r(counts: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SumR (R,) of runs of counts (V, 3), each video counted as often as `draws` (R, V) say."""
    captions, texts, videos = (draws @ counts).T
    return 100 * (texts / captions + videos / draws.sum(axis=1))


def difference(first: Sequence[VideoCounts], second: Sequence[VideoCounts], seed: int = 0) -> Difference:
    """Of two models with as many runs each, of the same seeds, on the same test videos."""
    ours, others = (np.array(runs, np.float64) for runs in (first, second))
    size = ours.shape[1]
    rng = np.random.default_rng(seed)

    def mean(draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.mean([sum_r(a, draws) - sum_r(b, draws) for a, b in zip(ours, others, strict=True)], axis=0)

    drawn = [
        mean(
            rng.multinomial(size, np.full(size, 1 / size), min(_RESAMPLES_PER_BLOCK, RESAMPLES - start)).astype(
                np.float64
            )
        )
        for start in range(0, RESAMPLES, _RESAMPLES_PER_BLOCK)
    ]
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return Difference(float(mean(np.ones((1, size)))[0]), float(low), float(high), len(ours))
