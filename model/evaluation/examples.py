"""Queries to look at with their first clips, as in figure 8 of the paper: chosen by a rule, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.ranks import Ranks
from model.evaluation.relevance import Index, Relevance
from model.evaluation.scores import FUSED, Scores, ScoreSource

CLIPS_PER_QUERY = 3
"""Clips per query."""

RULE = (
    "In half of the examples the right video came first, in the other half it did not (more of one half "
    "if the other has too few). Each half is sorted by rank, then by the order of the caption file, and "
    "sampled at even distances from the best to the worst. Nobody chose them by hand."
)


@dataclass(frozen=True)
class Hit:
    """A video in the ranking of a query: its number, its place, its fused score, whether it is right."""

    video: int
    rank: int
    score: float
    right: bool


@dataclass(frozen=True)
class Example:
    """A query (the row of its text), the rank of its best right video, and the first hits.

    Where no right video is among the first, the best right one is a last hit of its own.
    """

    row: int
    rank: int
    hits: tuple[Hit, ...]


def choose(ranks: Ranks, count: int) -> Index:
    """Places in `ranks.queries` of at most `count` queries, best rank first, by RULE."""
    order = np.argsort(ranks.best, kind="stable")
    firsts = int((ranks.best == 1).sum())
    good = min(firsts, max(count // 2, count - (len(order) - firsts)))
    bad = min(len(order) - firsts, count - good)
    return np.concatenate([order[:firsts][_evenly(firsts, good)], order[firsts:][_evenly(len(order) - firsts, bad)]])


def _evenly(items: int, count: int) -> Index:
    """`count` of `items` places at even distances, the first and the last among them."""
    return np.linspace(0, max(0, items - 1), count).round().astype(np.int64)


def text_to_video_examples(source: ScoreSource, protocol: Relevance, ranks: Ranks, count: int) -> list[Example]:
    """At most `count` examples of the fused score; `ranks` are its text-to-video ranks under `protocol`."""
    examples = []
    for place in choose(ranks, count):
        text = ranks.queries[place]
        row = int(protocol.rows[text])
        right = set(protocol.video[protocol.text == text].tolist())
        scores = source.block(row, row + 1)[FUSED][0]
        rank = int(ranks.best[place])
        examples.append(Example(row, rank, _hits(scores, right, rank)))
    return examples


def _hits(scores: Scores, right: set[int], rank: int) -> tuple[Hit, ...]:
    order = _ranking(scores, right)
    hits = [Hit(v, place, float(scores[v]), v in right) for place, v in enumerate(order[:CLIPS_PER_QUERY], 1)]
    if rank > CLIPS_PER_QUERY:
        best = next(v for v in order if v in right)
        hits.append(Hit(best, rank, float(scores[best]), True))
    return tuple(hits)


def _ranking(scores: Scores, right: set[int]) -> Sequence[int]:
    """Videos from the best to the worst, wrong before right where they tie, as ranks count."""
    is_right = np.isin(np.arange(len(scores)), sorted(right))
    return np.lexsort((is_right, -scores)).tolist()
