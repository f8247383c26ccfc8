"""Where everything relevant stands in the ranking of every query, both directions, from blocks of scores.

Ties count against us: whatever is not relevant and does not score strictly lower than a relevant item stands before
it. So a constant score finds nothing, a query without a score (-inf) has the worst ranks there are, and so has NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from model.evaluation.relevance import Index, Relevance
from model.evaluation.scores import Scores, ScoreSource, block_bounds
from quartet.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """The ranks of all relevant items of all queries of one direction.

    query   (P,) ascending: a number per query; videos that no text describes are not queries
    rank    (P,) ascending within a query: the place of a relevant item among `gallery` items, 1 is first
    """

    query: Index
    rank: Index
    gallery: int

    @cached_property
    def queries(self) -> Index:
        """(Q,) the distinct numbers in `query`; the arrays below are in this order."""
        return self.query[self._first]

    @cached_property
    def relevant(self) -> Index:
        """(Q,) how many relevant items each query has."""
        return np.diff(self._first, append=len(self.query))

    @property
    def best(self) -> Index:
        """(Q,) the rank of the best relevant item: what recall at k and median rank look at."""
        return self.rank[self._first]

    @property
    def average_precision(self) -> Floats:
        """(Q,) the mean of the precisions at the rank of each relevant item, over all relevant items."""
        return np.add.reduceat(self._place / self.rank, self._first) / self.relevant

    def found(self, k: int) -> Index:
        """(Q,) how many relevant items are among the first k."""
        found: Index = np.add.reduceat((self.rank <= k).astype(np.int64), self._first)
        return found

    def average_precision_at(self, k: int) -> Floats:
        """(Q,) as `average_precision`, of the first k results: what comes later counts as not found."""
        return np.add.reduceat(np.where(self.rank <= k, self._place / self.rank, 0.0), self._first) / self.relevant

    def ndcg(self, k: int) -> Floats:
        """(Q,) discounted cumulative gain of the first k, binary relevance, over that of a perfect order."""
        gain = np.where(self.rank <= k, 1 / np.log2(1 + self.rank), 0.0)
        ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))
        return np.add.reduceat(gain, self._first) / ideal[np.minimum(self.relevant, k) - 1]

    def recall_curve(self, longest: int) -> Floats:
        """(longest,) the share of queries with a relevant item among the first 1, 2, ... `longest`."""
        found = np.bincount(np.minimum(self.best, longest + 1), minlength=longest + 2)
        return np.cumsum(found[1 : longest + 1]) / len(self.best)

    def precision_recall(self) -> tuple[Floats, Floats]:
        """(gallery,) each: precision and recall of the first 1, 2, ... `gallery` results, means over the queries.

        Recall is here the share of all relevant items of a query that was returned.
        """
        found = np.bincount(self.rank, minlength=self.gallery + 1)[1:]
        share = np.repeat(1 / self.relevant, self.relevant)
        recalled = np.bincount(self.rank, weights=share, minlength=self.gallery + 1)[1:]
        queries = len(self.best)
        return np.cumsum(found) / np.arange(1, self.gallery + 1) / queries, np.cumsum(recalled) / queries

    @cached_property
    def _first(self) -> Index:
        """Where each query begins."""
        return np.flatnonzero(np.diff(self.query, prepend=-1))

    @cached_property
    def _place(self) -> Index:
        """(P,) 1 for the best relevant item of a query, 2 for the next, ..."""
        return np.arange(len(self.query)) - np.repeat(self._first, self.relevant) + 1


@dataclass(frozen=True)
class BothRanks:
    """Text to video (a query is a text's place in Relevance.rows) and video to text (a query is a video)."""

    text_to_video: Ranks
    video_to_text: Ranks


def rank_all(source: ScoreSource, protocols: Sequence[Relevance]) -> dict[str, list[BothRanks]]:
    """The ranks under each protocol, for every score matrix of `source` by name.

    Reads the source twice, since a video's texts are spread over all blocks: the first time for the scores of the
    pairs and what stands before them in their rows, the second for what stands before them in their columns.
    Raises InputError if the protocols are of another number of texts or videos than the scores.
    """
    for protocol in protocols:
        if source.shape != (protocol.texts, protocol.videos):
            raise InputError(
                f"The scores are of {source.shape[0]} texts and {source.shape[1]} videos, "
                f"the captions of {protocol.texts} texts and {protocol.videos} videos."
            )
    blocks = _Blocks(source)
    counters = {name: [_Counter(protocol) for protocol in protocols] for name in source.names}
    for start, stop, matrices in blocks:
        for name, of_name in counters.items():
            for counter in of_name:
                counter.read_rows(start, stop, matrices[name])
    for start, stop, matrices in blocks:
        for name, of_name in counters.items():
            for counter in of_name:
                counter.read_columns(start, stop, matrices[name])
    return {name: [counter.ranks() for counter in of_name] for name, of_name in counters.items()}


class _Blocks:
    """The blocks of a source, as often as one likes. A source that is one block is computed once."""

    def __init__(self, source: ScoreSource) -> None:
        self.source = source
        self.bounds = block_bounds(source.shape)

    def __iter__(self) -> Iterator[tuple[int, int, dict[str, Scores]]]:
        if len(self.bounds) == 1:
            yield *self.bounds[0], self._only
        else:
            for start, stop in self.bounds:
                yield start, stop, self.source.block(start, stop)

    @cached_property
    def _only(self) -> dict[str, Scores]:
        return self.source.block(*self.bounds[0])


class _Counter:
    """Counts, for every pair of one protocol in one matrix, the irrelevant items that score lower."""

    def __init__(self, protocol: Relevance) -> None:
        self.protocol = protocol
        pairs = len(protocol.text)
        self.score = np.empty(pairs, np.float32)
        self.lower_videos = np.zeros(pairs, np.int64)
        self.lower_texts = np.zeros(pairs, np.int64)
        self.by_video = np.argsort(protocol.video, kind="stable")

    def read_rows(self, start: int, stop: int, scores: Scores) -> None:
        part, text, video, scores = self._part(start, stop, scores)
        self.score[part] = scores[text, video]
        scores[text, video] = np.inf  # not lower than anything
        self.lower_videos[part] = _count_lower(scores, text, self.score[part])

    def read_columns(self, start: int, stop: int, scores: Scores) -> None:
        _, text, video, scores = self._part(start, stop, scores)
        scores[text, video] = np.inf
        order = self.by_video
        self.lower_texts[order] += _count_lower(scores.T, self.protocol.video[order], self.score[order])

    def ranks(self) -> BothRanks:
        p = self.protocol
        return BothRanks(
            _ranks(p.text, self.score, self.lower_videos, p.videos),
            _ranks(p.video, self.score, self.lower_texts, len(p.rows)),
        )

    def _part(self, start: int, stop: int, scores: Scores) -> tuple[slice, Index, Index, Scores]:
        """The pairs whose texts are in a block, their rows and columns in it, and a copy of the protocol's rows."""
        p = self.protocol
        first, last = np.searchsorted(p.rows, [start, stop])
        part = slice(*np.searchsorted(p.text, [first, last]))
        return part, p.text[part] - first, p.video[part], scores[p.rows[first:last] - start]


def _count_lower(scores: Scores, query: Index, threshold: Scores) -> Index:
    """(P,) how many scores (queries, items) in row query[p] are lower than threshold[p]; query is ascending."""
    counts = np.empty(len(query), np.int64)
    firsts = np.flatnonzero(np.diff(query, prepend=-1))
    sizes = np.diff(firsts, append=len(query))
    for place in range(sizes.max(initial=0)):  # the first pair of every query, then the second of those that have one
        pairs = firsts[sizes > place] + place
        rows = scores if len(pairs) == len(scores) else scores[query[pairs]]
        counts[pairs] = (rows < threshold[pairs, None]).sum(1, dtype=np.int32)
    return counts


def _ranks(query: Index, score: Scores, lower: Index, gallery: int) -> Ranks:
    """Ranks from the scores of pairs and how many irrelevant items score lower than each."""
    order = np.lexsort((-score, query))
    query, lower = query[order], lower[order]
    _, firsts, sizes = np.unique(query, return_index=True, return_counts=True)
    place = np.arange(len(query)) - np.repeat(firsts, sizes) + 1
    before = gallery - np.repeat(sizes, sizes) - lower
    return Ranks(query, place + before, gallery)
