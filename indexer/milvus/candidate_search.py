"""One query's search for its k best items: which to score next, and whether any other could still be a hit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from indexer.milvus.score_bounds import Ids, LevelList, ceilings, unseen_ceiling
from indexer.search.question import Question
from indexer.search.ranking import hits_of
from indexer.search.result import Hit, SearchResult
from model.levels import Vectors


class CandidateSearch:
    """See the module. First `take` lists, then `score` what is `wanted` until nothing is; deeper lists may follow.

    question    one query
    patterns    (P, L): the combinations of levels that items of the gallery have
    exhaustive  whether lists are what a comparison with every vector gives. Lists of an index may lack an item that
                belongs into them, so then everything that they name is scored
    """

    def __init__(self, question: Question, k: int, patterns: npt.NDArray[np.bool_], exhaustive: bool) -> None:
        self._question = question
        self._k = k
        self._patterns = patterns
        self._exhaustive = exhaustive
        self._open: Ids = np.zeros(0, dtype=np.int64)
        self._ceilings = np.zeros(0)
        self._unseen: float | None = None
        levels = len(question.specs)
        self._ids: Ids = np.zeros(0, dtype=np.int64)
        self._present = np.zeros((0, levels), dtype=np.bool_)
        self._raw = np.zeros((0, levels))
        self._hits: list[Hit] = []

    def add_lists(self, lists: dict[int, LevelList]) -> None:
        """The lists of all levels that count, by column; deeper than those before."""
        self._unseen = unseen_ceiling(self._question, self._patterns, lists)
        ids = np.unique(np.concatenate([listed.ids for listed in lists.values()]))
        ids = np.setdiff1d(ids, self._ids, assume_unique=True)
        most = ceilings(self._question, self._patterns, lists, ids)
        order = np.argsort(-most, kind="stable")
        self._open, self._ceilings = ids[order], most[order]

    def next_to_score(self, most: int) -> Ids:
        """At most so many items that are yet to be scored, the likeliest first; none if no other can be a hit."""
        count = len(self._open)
        if self._exhaustive and len(self._hits) == self._k:
            # Ties go to the lower id: an item that may just reach the last hit can displace it.
            count = int(np.searchsorted(-self._ceilings, -self._hits[-1].score, side="right"))
        chosen, self._open = self._open[: min(most, count)], self._open[min(most, count) :]
        self._ceilings = self._ceilings[len(chosen) :]
        return chosen

    def score(self, ids: Ids, vectors: Vectors) -> None:
        """Items, ascending, with their vectors at all levels."""
        if not len(ids):
            return
        question = self._question
        raw = np.zeros((len(ids), len(question.specs)))
        present = np.zeros(raw.shape, dtype=np.bool_)
        for column, spec in enumerate(question.specs):
            stored = vectors[spec.name].astype(np.float64)
            raw[:, column] = (stored * question.rows[spec.name][0]).sum(axis=1)
            present[:, column] = stored.any(axis=1)
        together = np.concatenate([self._ids, ids])
        order = np.argsort(together)
        self._ids = together[order]
        self._raw = np.concatenate([self._raw, raw])[order]
        self._present = np.concatenate([self._present, present])[order]
        self._hits = hits_of(question, self._ids, self._present, self._raw, self._k)

    @property
    def is_decided(self) -> bool:
        """Whether no item that was not scored can be a hit, were it to tie with the last."""
        return self._unseen is None or (len(self._hits) == self._k and self._unseen < self._hits[-1].score)

    def result(self, laps: dict[str, float]) -> SearchResult:
        exact = self._exhaustive and self.is_decided
        bound = None if exact else self._unseen
        return SearchResult(self._hits, exact, bound, candidates=len(self._ids), took_ms=laps)
