"""What each level adds to the fused score: at the right clip, and at the wrong clip that comes nearest to it.

The fused score is a weighted mean, so it is the sum of one contribution per level. A level helps as far as it adds
more at the right clip than at the best wrong one; one that adds the same at both decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.evaluation.relevance import Relevance
from model.evaluation.scores import LevelScores, block_bounds, fuse, normalised_weights


@dataclass(frozen=True)
class Contribution:
    """Weighted activated score of one level, the mean over the queries; 0 where a query lacks the level."""

    right: float
    wrong: float

    @property
    def gap(self) -> float:
        return self.right - self.wrong


def level_contributions(source: LevelScores, protocol: Relevance) -> dict[str, Contribution]:
    """Per level, over all queries of a protocol that have a level and a wrong clip to compare with.

    right  at the best clip, by the fused score, of the videos that are right for a query
    wrong  at the best clip of all other videos
    """
    counts = np.ones(source.shape[1], np.int64) if source.counts is None else source.counts
    video_of_clip = np.repeat(np.arange(len(counts)), counts)
    sums = {name: np.zeros(2) for name in source.levels}
    queries = 0
    for start, stop in block_bounds((source.shape[0], len(video_of_clip))):
        first, last = np.searchsorted(protocol.rows, [start, stop])
        rows = protocol.rows[first:last] - start
        part = slice(*np.searchsorted(protocol.text, [first, last]))
        right_video = np.zeros((len(rows), len(counts)), bool)
        right_video[protocol.text[part] - first, protocol.video[part]] = True
        scores, present = source.clip_scores(start, stop)
        scores = {name: matrix[rows] for name, matrix in scores.items()}
        present = {name: column[rows] for name, column in present.items()}
        weights = normalised_weights(source.specs, present)
        fused = fuse(source.specs, scores, present)
        right = right_video[:, video_of_clip]
        best = [np.where(side, fused, -np.inf) for side in (right, ~right)]
        counted = np.isfinite(best[0].max(1)) & np.isfinite(best[1].max(1))
        queries += int(counted.sum())
        for name, matrix in scores.items():
            for side, among in enumerate(best):
                at = np.take_along_axis(matrix, among.argmax(1)[:, None], axis=1)
                sums[name][side] += (weights[name] * at)[counted].sum(dtype=np.float64)
    return {name: Contribution(*(float(total / max(1, queries)) for total in both)) for name, both in sums.items()}
