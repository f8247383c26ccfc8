"""Retrieval metrics of ranks, both directions: recall at k, median and mean rank, SumR, mAP and nDCG@10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from model.evaluation.ranks import BothRanks, Ranks, rank_all
from model.evaluation.relevance import Index, per_caption
from model.evaluation.scores import FUSED, GivenScores, LevelScores, Scores, ScoreSource
from model.levels import LevelSpec, Vectors


@dataclass(frozen=True)
class Measures:
    """How good the rankings of one direction are.

    r1, r5, r10             queries with a relevant item among the first 1, 5 and 10, in percent
    median_rank, mean_rank  of the best relevant item of a query, 1 is first
    queries                 how many there are
    mean_average_precision  in percent, binary relevance, over the whole ranking
    ndcg10                  normalised discounted cumulative gain of the first 10, in percent, binary relevance
    best_ranks              (queries,) the rank of the best relevant item of each; not kept in files
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float
    queries: int
    mean_average_precision: float
    ndcg10: float
    best_ranks: Index = field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)

    @classmethod
    def of(cls, ranks: Ranks) -> Measures:
        best = ranks.best
        r1, r5, r10 = (float(100 * (best <= k).mean()) for k in (1, 5, 10))
        precision, ndcg = (float(100 * each.mean()) for each in (ranks.average_precision, ranks.ndcg(10)))
        return cls(r1, r5, r10, float(np.median(best)), float(best.mean()), len(best), precision, ndcg, best)

    @property
    def sum_r(self) -> float:
        """The sum of the three recalls."""
        return self.r1 + self.r5 + self.r10

    def to_json(self) -> dict[str, float]:
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name != "best_ranks"}


@dataclass(frozen=True)
class Retrieval:
    """Both directions and SumR, the sum of their six recalls."""

    text_to_video: Measures
    video_to_text: Measures

    @classmethod
    def of(cls, ranks: BothRanks) -> Retrieval:
        return cls(Measures.of(ranks.text_to_video), Measures.of(ranks.video_to_text))

    @property
    def sum_r(self) -> float:
        return self.text_to_video.sum_r + self.video_to_text.sum_r

    def to_json(self) -> dict[str, object]:
        return {
            "text_to_video": self.text_to_video.to_json(),
            "video_to_text": self.video_to_text.to_json(),
            "sum_r": self.sum_r,
        }


def evaluate(
    specs: Sequence[LevelSpec], text_queries: Vectors, videos: Vectors, owner: npt.NDArray[np.int64]
) -> dict[str, Retrieval]:
    """Metrics of the fused score ("fused") and of each level alone; every caption is a query of its own.

    text_queries  query vectors (texts, d_l) by level; text i describes video owner[i]
    videos        gallery vectors (videos, d_l) by level
    """
    return evaluate_scores(LevelScores(specs, text_queries, videos), owner)


def evaluate_scores(source: ScoreSource, owner: Index) -> dict[str, Retrieval]:
    """As `evaluate`, of any model that scores texts against videos."""
    ranks = rank_all(source, [per_caption(owner, source.shape[1])])
    return {name: Retrieval.of(both) for name, (both,) in ranks.items()}


def retrieval(scores: Scores, owner: Index) -> Retrieval:
    """As `evaluate`, of one matrix (texts, videos) that exists."""
    return evaluate_scores(GivenScores({FUSED: scores}), owner)[FUSED]


def chance(relevant: Index, gallery: int) -> dict[str, float]:
    """Expected r1, r5 and r10 (percent) and mean_rank of random orders of `gallery` items.

    relevant (Q,) how many of the items are right for each query
    """
    misses = np.ones(len(relevant))
    recall: dict[int, float] = {}
    for place in range(10):
        # Given that no place before it holds a relevant item, the odds that this one does not either.
        left = gallery - place
        misses *= np.maximum(left - relevant, 0) / max(left, 1)
        recall[place + 1] = float(100 * (1 - misses.mean()))
    mean_rank = float(((gallery + 1) / (relevant + 1)).mean())
    return {"r1": recall[1], "r5": recall[5], "r10": recall[10], "mean_rank": mean_rank}
