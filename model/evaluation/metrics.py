"""Retrieval metrics from score matrices, both directions.

Protocol: every caption row is a query of its own (text to video); a video's best-ranked own caption counts (video to
text). Ties count against us: everything that scores as high as the target stands before it. A query that lacks a
level is a miss for that level alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from model.levels import LevelSpec, Vectors

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recall:
    """Recall at 1, 5 and 10 in percent, median and mean rank (1 is best), of one direction."""

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float
    queries: int

    @classmethod
    def of(cls, ranks: npt.NDArray[np.int64]) -> Recall:
        at = [float(100 * (ranks <= k).mean()) for k in (1, 5, 10)]
        return cls(at[0], at[1], at[2], float(np.median(ranks)), float(ranks.mean()), len(ranks))


@dataclass(frozen=True)
class Retrieval:
    """Both directions and SumR, the sum of their six recalls."""

    text_to_video: Recall
    video_to_text: Recall

    @property
    def sum_r(self) -> float:
        return sum(r.r1 + r.r5 + r.r10 for r in (self.text_to_video, self.video_to_text))

    def to_json(self) -> dict[str, object]:
        return {
            "text_to_video": asdict(self.text_to_video),
            "video_to_text": asdict(self.video_to_text),
            "sum_r": self.sum_r,
        }


def text_to_video_ranks(scores: Scores, owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rank of video owner[i] for text i, from scores (texts, videos); -inf in a whole row is a miss."""
    target = scores[np.arange(len(owner)), owner]
    ranks = (scores >= target[:, None]).sum(1)  # the target is among them: 1 is the best
    return np.where(np.isfinite(target), ranks, scores.shape[1])


def video_to_text_ranks(scores: Scores, owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rank of each video's best own text among all texts, from scores (texts, videos)."""
    own = owner[:, None] == np.arange(scores.shape[1])
    best = np.where(own, scores, -np.inf).max(0)
    ranks = ((scores >= best) & ~own).sum(0) + 1
    return np.where(np.isfinite(best), ranks, len(owner))


def retrieval(scores: Scores, owner: npt.NDArray[np.int64]) -> Retrieval:
    """Metrics of one score matrix (texts, videos); text i describes video owner[i]."""
    return Retrieval(Recall.of(text_to_video_ranks(scores, owner)), Recall.of(video_to_text_ranks(scores, owner)))


def score_matrices(
    specs: Sequence[LevelSpec],
    text_queries: Vectors,
    videos: Vectors,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Scores]:
    """Activated scores (texts, videos) of every level, and their weighted mean as "fused".

    A text without a level has -inf in that level's rows and leaves the level out of its mean.
    """
    matrices: dict[str, Scores] = {}
    total = np.zeros((len(text_queries["global"]), 1), np.float32)
    fused = np.zeros((len(total), len(videos["global"])), np.float32)
    for spec in specs:
        present = text_queries[spec.name].any(axis=1, keepdims=True)
        weight = np.float32(spec.weight if weights is None else weights[spec.name]) * present
        scores = spec.activate(text_queries[spec.name] @ videos[spec.name].T).astype(np.float32)
        fused += weight * scores
        total += weight
        matrices[spec.name] = np.where(present, scores, -np.inf).astype(np.float32)
    # A text left without any weighted level matches nothing.
    matrices["fused"] = np.where(total > 0, fused / np.where(total > 0, total, 1), -np.inf).astype(np.float32)
    return matrices


def evaluate(
    specs: Sequence[LevelSpec], text_queries: Vectors, videos: Vectors, owner: npt.NDArray[np.int64]
) -> dict[str, Retrieval]:
    """Metrics of the fused score ("fused") and of each level alone."""
    return {name: retrieval(s, owner) for name, s in score_matrices(specs, text_queries, videos).items()}


def chance(items: int) -> tuple[float, float, float]:
    """Expected R@1, R@5 and R@10, in percent, of a random order of `items` with one right answer."""
    return 100 / items, 100 * min(5, items) / items, 100 * min(10, items) / items
