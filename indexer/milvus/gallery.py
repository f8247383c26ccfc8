"""A gallery in Milvus: its lists propose, level by level, and what they propose is scored here in float64.

Milvus compares a query with the vectors of one level and gives the best, in order. That is done for every level that
counts; the items that can be hits by what their lists say (`milvus.score_bounds`) are fetched with the vectors of
all levels and scored as those of a library's own files are. Where Milvus compares with every vector, the lists are
taken deeper until nothing outside of them can displace a hit: the answer is then exact, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from indexer.milvus.address import Address, library_errors
from indexer.milvus.candidate_search import CandidateSearch
from indexer.milvus.collections import HAS, MAX_HITS, VECTOR, GalleryFacts, level_collection
from indexer.milvus.score_bounds import Ids, LevelList, product_error
from indexer.search.filters import ClipFilter
from indexer.search.question import Question
from indexer.search.result import SearchResult
from model.levels import LevelSpec, Vectors
from quartet.errors import InputError, LibraryError, NotFoundError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_FIRST_DEPTH = 64
"""Hits taken per level to begin with, or twice as many as are asked for."""

_DEPTH_FACTOR = 4
"""By this factor are lists taken deeper that do not settle an answer."""

_FETCHED = 1000
"""Items fetched at once: 1 MB of a level of 256 dimensions."""


_NOT_LOADED = (101, 103)
"""Codes of Milvus for a collection that is not in the memory of the server, or not all of it."""

T = TypeVar("T")


class MilvusGallery:
    """See the module; `indexer.store.served_generation.RemoteGallery` says what each method does."""

    def __init__(
        self, client: MilvusClient, address: Address, collection: str, levels: Sequence[LevelSpec], facts: GalleryFacts
    ) -> None:
        self.levels = tuple(levels)
        self.facts = facts
        self.collection = collection
        self._client = client
        self._address = address
        self._patterns = facts.pattern_rows
        self._threads = ThreadPoolExecutor(2 * len(self.levels), thread_name_prefix="milvus")

    def __len__(self) -> int:
        return self.facts.count

    def __contains__(self, item: int) -> bool:
        return bool(self._rows(self.levels[0], [item], ["id"]))

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        distinct = np.unique(wanted)
        found, vectors = self._fetch(distinct)
        if len(found) != len(distinct):
            missing = int(np.setdiff1d(distinct, found)[0])
            raise NotFoundError(f"There is no item {missing} in this generation of the library.")
        places = np.searchsorted(found, wanted)
        return {name: rows[places] for name, rows in vectors.items()}

    def answer(self, question: Question, k: int, filter: Ids | ClipFilter | None, exact: bool) -> list[SearchResult]:
        """Raises InputError for more hits than Milvus gives."""
        if k > MAX_HITS and len(self) > MAX_HITS:
            raise InputError(f"Milvus returns at most {MAX_HITS:,} hits, not {k:,}.")
        condition = _condition(filter)
        lists = None if exact else self.facts.lists
        contests = [CandidateSearch(one, k, self._patterns, exhaustive=lists is None) for one in question]
        laps = {"lists": 0.0, "rank": 0.0}
        depth = min(max(_FIRST_DEPTH, 2 * k, 0 if lists is None else lists.depth), MAX_HITS)
        going = list(range(len(contests))) if len(self) and condition is not None else []
        while going:
            began = perf_counter()
            for i, own in self._lists(question, going, depth, condition or "", exact).items():
                contests[i].add_lists(own)
            listed = perf_counter()
            self._score([contests[i] for i in going])
            laps["lists"] += (listed - began) * 1e3
            laps["rank"] += (perf_counter() - listed) * 1e3
            going = [i for i in going if not contests[i].is_decided and lists is None and depth < MAX_HITS]
            depth = min(_DEPTH_FACTOR * depth, MAX_HITS)
        return [contest.result(laps) for contest in contests]

    def _lists(
        self, question: Question, going: Sequence[int], depth: int, condition: str, exact: bool
    ) -> dict[int, dict[int, LevelList]]:
        """For each of the queries `going` its list per level that counts, {query: {column: list}}."""

        def look_up(used: tuple[int, LevelSpec]) -> list[tuple[int, int, LevelList]]:
            column, spec = used
            asking = [i for i in going if question.weights[i, column]]
            queries = question.rows[spec.name][asking]
            found = self._search(spec.name, queries, depth, self._expression(column, condition), exact)
            lists = []
            for i, query, hits in zip(asking, queries, found, strict=True):
                error = product_error(spec, self.facts.norms[spec.name], query)
                lists.append((i, column, self._list(hits, error, ended=len(hits.ids) < depth)))
            return lists

        lists: dict[int, dict[int, LevelList]] = {i: {} for i in going}
        used = [(column, spec) for column, spec in question.used if question.weights[list(going), column].any()]
        # One round trip instead of four.
        for part in self._threads.map(look_up, used):
            for i, column, listed in part:
                lists[i][column] = listed
        return lists

    def _list(self, hits: Any, error: float, ended: bool) -> LevelList:
        """What Milvus has found for a query at a level, as a list of this gallery."""
        ids, products = np.asarray(hits.ids, dtype=np.int64), np.asarray(hits.distances, dtype=np.float64)
        return LevelList(ids, products, error, ended)

    def _search(self, level: str, queries: npt.NDArray[np.float32], depth: int, expression: str, exact: bool) -> Any:
        parameters: dict[str, Any] = {}
        if self.facts.lists is not None:
            parameters["nprobe"] = self.facts.lists.count if exact else self.facts.lists.nprobe
        return self._ask(
            level,
            partial(
                self._client.search,
                data=list(queries),
                anns_field=VECTOR,
                limit=depth,
                filter=expression,
                output_fields=["id"],
                search_params={"metric_type": "IP", "params": parameters},
            ),
        )

    def _ask(self, level: str, call: Callable[[str], T]) -> T:
        """A call about the collection of a level. A server that has just been started may yet have to load it."""
        from pymilvus.exceptions import MilvusException

        collection = level_collection(self.collection, level)
        with library_errors(self._address):
            try:
                return call(collection)
            except MilvusException as error:
                if error.code not in _NOT_LOADED:
                    raise
            self._client.load_collection(collection)
            return call(collection)

    def _expression(self, column: int, condition: str) -> str:
        """Only items that have the level: those that lack it have a vector of zeros."""
        if self._patterns[:, column].all():
            return condition
        there = f"{HAS} == true"
        return f"{there} and {condition}" if condition else there

    def _score(self, contests: Sequence[CandidateSearch]) -> None:
        """Fetch and score the items that can be hits, the likely ones first, so that they rule out others."""
        some = _FIRST_DEPTH
        while True:
            wanted = [contest.next_to_score(some) for contest in contests]
            together = np.unique(np.concatenate(wanted))
            if not len(together):
                return
            ids, vectors = self._fetch(together)
            for contest, own in zip(contests, wanted, strict=True):
                places = np.flatnonzero(np.isin(ids, own))
                contest.score(ids[places], {name: rows[places] for name, rows in vectors.items()})
            some *= _DEPTH_FACTOR

    def _fetch(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Those of the ids, ascending, that there are, and their vectors."""
        parts = [ids[start : start + _FETCHED].tolist() for start in range(0, len(ids), _FETCHED)]

        def fetch(spec: LevelSpec) -> tuple[Ids, npt.NDArray[np.float32]]:
            rows = [row for part in parts for row in self._rows(spec, part, ["id", VECTOR])]
            found = np.array([row["id"] for row in rows], dtype=np.int64)
            vectors = np.array([row[VECTOR] for row in rows], dtype=np.float32).reshape(-1, spec.dim)
            order = np.argsort(found)
            return found[order], vectors[order]

        levels = list(self._threads.map(fetch, self.levels))
        found = levels[0][0]
        if not all(np.array_equal(own, found) for own, _ in levels):
            raise LibraryError(f"The levels of {self.collection} in Milvus disagree. Export the library again.")
        return found, {spec.name: vectors for spec, (_, vectors) in zip(self.levels, levels, strict=True)}

    def _rows(self, level: LevelSpec, ids: list[int], fields: list[str]) -> Iterable[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._ask(level.name, partial(self._client.query, ids=ids, output_fields=fields))
        return rows


def _condition(filter: Ids | ClipFilter | None) -> str | None:
    """A filter as an expression of Milvus, "" for none; None where it leaves nothing."""
    if filter is None:
        return ""
    if not isinstance(filter, ClipFilter):
        ids = np.unique(np.asarray(filter, dtype=np.int64))
        return f"id in {ids.tolist()}" if len(ids) else None
    parts = []
    if filter.video_ids is not None:
        if not filter.video_ids:
            return None
        parts.append(f"video in {sorted(map(int, filter.video_ids))}")
    if filter.start is not None:
        parts.append(f"end > {float(filter.start)!r}")
    if filter.end is not None:
        parts.append(f"start < {float(filter.end)!r}")
    return " and ".join(parts)
