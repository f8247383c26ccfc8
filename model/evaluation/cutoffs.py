"""What the first k results hold: precision, recall, F-score, and the figures that MTEB reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.evaluation.ranks import Ranks

CUTOFFS = (1, 5, 10)


@dataclass(frozen=True)
class Cutoff:
    """Means over the queries of one direction, in percent, over the first k results.

    precision  share of the k that is right
    recall     share of everything right that is among them; `Measures.r10` asks whether anything is
    f_score    harmonic mean of a query's precision and recall, 0 where both are
    """

    k: int
    precision: float
    recall: float
    f_score: float

    @classmethod
    def of(cls, ranks: Ranks, k: int) -> Cutoff:
        found = ranks.found(k)
        # P = found / k and R = found / relevant, so 2 P R / (P + R) is 2 found / (k + relevant).
        shares = (found / k, found / ranks.relevant, 2 * found / (k + ranks.relevant))
        return cls(k, *(float(100 * share.mean()) for share in shares))


def mteb_scores(ranks: Ranks, cutoffs: tuple[int, ...] = (1, 3, 5, 10, 20, 100, 1000)) -> dict[str, float]:
    """The scores of a retrieval task as MTEB names and defines them (those of trec_eval), from 0 to 1.

    recall_at_k is the share of everything right, hit_rate_at_k whether anything is among the first k.
    """
    scores: dict[str, float] = {}
    for k in cutoffs:
        found = ranks.found(k)
        scores[f"ndcg_at_{k}"] = float(ranks.ndcg(k).mean())
        scores[f"map_at_{k}"] = float(ranks.average_precision_at(k).mean())
        scores[f"recall_at_{k}"] = float((found / ranks.relevant).mean())
        scores[f"precision_at_{k}"] = float((found / k).mean())
        scores[f"mrr_at_{k}"] = float(np.where(ranks.best <= k, 1 / ranks.best, 0.0).mean())
        scores[f"hit_rate_at_{k}"] = float((ranks.best <= k).mean())
    return scores
