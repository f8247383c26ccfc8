"""What a search answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class LevelScore(NamedTuple):
    """What one level gave to a hit. A level that the query or the item lacks, or weighs 0, contributes 0.

    raw is the inner product, activation act_l(a_l * raw + b_l) (both 0 where a side lacks the level),
    weight w_l, contribution its part of the score: contributions add up to the score.
    """

    raw: float
    activation: float
    weight: float
    contribution: float


class Hit(NamedTuple):
    id: int
    score: float
    levels: dict[str, LevelScore]


@dataclass(frozen=True)
class SearchResult:
    """The best items, best first.

    exact       no item that is not a hit has a higher score than the last hit
    bound       for approximate answers of an engine that knows it, what an item can at most score that its lists
                could have returned and did not (`indexer.milvus`); None where it is not known
    candidates  how many items were scored on all levels
    took_ms     milliseconds per stage, of the batch that the query was in
    texts       by the ids of hits the text of each that is nearest to the question, where texts were searched
    """

    hits: list[Hit]
    exact: bool
    bound: float | None
    candidates: int
    took_ms: dict[str, float]
    texts: Mapping[int, int] = field(default_factory=dict)

    @property
    def certified(self) -> bool:
        """Whether nothing that the index could have returned can displace a hit: exact, or the bound is met."""
        return self.exact or (self.bound is not None and bool(self.hits) and self.bound <= self.hits[-1].score)
