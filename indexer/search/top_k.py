"""Fused top-k over the levels of a gallery.

    score(query, item) = sum_l w_l * act_l(a_l * <v_l, q_l> + b_l) / sum_l w_l     over the levels both have

Exact by a scan (`exact.exhaustive`), or of a large gallery what a fast scan of its 4-bit codes proposes
(`approximate.fast_scan`): every answer says which. Items found in either way are scored on all levels, in float64,
before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
import numpy.typing as npt

from indexer.search.approximate.fast_scan import depth_for, propose, wanted_for
from indexer.search.exact.exhaustive import scan
from indexer.search.filters import ClipFilter
from indexer.search.question import Question, make_question
from indexer.search.ranking import rank
from indexer.search.remote_gallery import AnyGallery
from indexer.search.result import Hit, LevelScore, SearchResult
from indexer.search.survivors import Survivors
from indexer.search.vectors.gallery import Gallery
from model.levels import LevelSpec, Vectors
from quartet.errors import InputError

__all__ = ["Hit", "LevelScore", "SearchResult", "search", "search_batch"]

_MAX_ROWS_SCORED = 4096
"""So many rows that a filter leaves are scored without looking at any other."""

_FILTERED = 10
"""Where a filter leaves less than one row in so many, most of what is proposed would be for nothing: scan instead."""


def search(
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    query: Vectors,
    k: int,
    weights: Mapping[str, float],
    filter: npt.NDArray[np.int64] | ClipFilter | None = None,
    exact: bool = False,
) -> SearchResult:
    """The k items of `gallery` with the highest fused score for `query`, ties by lower id.

    query    one row per level, {level: (1, d_l)}; a row of zeros means that the query lacks the level
    weights  overrides of the levels' default weights; levels that are missing on a side drop out and the rest
             renormalise, so an item that shares no weighted level with the query is never a hit
    filter   ids of the items that may be hits; ids that the gallery lacks are ignored. None: all. What
             `Library.allowed` gives also fits a gallery that another engine has
    exact    scan all 8-bit rows even where the gallery has 4-bit ones
    Raises InputError for k < 1, wrong shapes, a query that is not finite, or no level left with a weight.
    """
    for spec in specs:
        shape = np.shape(query.get(spec.name, ()))
        if spec.name in query and shape != (1, spec.dim):
            raise InputError(f"The {spec.name} query must have the shape (1, {spec.dim}), not {shape}.")
    return search_batch(gallery, specs, query, k, weights, filter, exact)[0]


def search_batch(
    gallery: AnyGallery,
    specs: Sequence[LevelSpec],
    queries: Vectors,
    k: int,
    weights: Mapping[str, float],
    filter: npt.NDArray[np.int64] | ClipFilter | None = None,
    exact: bool = False,
    explain: bool = True,
) -> list[SearchResult]:
    """`search` for B queries at once, {level: (B, d_l)}: one result each, in less time than one by one.

    explain  say what each level gave to a hit; without that, hits have no levels
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}.")
    question = make_question(specs, queries, weights)
    if not isinstance(gallery, Gallery):
        return gallery.answer(question, k, filter, exact)
    assert not isinstance(filter, ClipFilter), "Only another engine has the columns of the catalogue."
    k = min(k, max(len(gallery), 1))  # room is made for k hits
    watch = _Stopwatch()
    allowed, count = gallery.alive, len(gallery)
    if filter is not None:
        chosen = gallery.select(np.asarray(filter, dtype=np.int64).reshape(-1))
        if len(chosen) <= min(_MAX_ROWS_SCORED, len(gallery) // 16):
            return _results(
                gallery, question, k, [Survivors(chosen)] * len(question), watch, count=len(chosen), explain=explain
            )
        allowed, count = np.zeros(len(gallery.row_ids), dtype=np.bool_), len(chosen)
        allowed[chosen] = True
    # On a GPU a scan is as fast as the fast scan, which is on the CPU, and it is exact.
    fast = gallery.encoding and not exact and gallery.resident.device == "cpu" and count >= len(gallery) / _FILTERED
    if fast and (depth := depth_for(k, count, len(gallery.row_ids))) is not None:
        return _approximate(gallery, question, k, depth, allowed, watch, explain)
    found = scan(gallery, question, k, allowed)
    watch.lap("scan")
    return _results(gallery, question, k, found, watch, count=count, explain=explain)


def _approximate(
    gallery: Gallery,
    question: Question,
    k: int,
    depth: int,
    allowed: npt.NDArray[np.bool_] | None,
    watch: _Stopwatch,
    explain: bool,
) -> list[SearchResult]:
    """Of the `depth` rows that the codes propose those that are allowed. Where too few are, that query is scanned."""
    proposed = propose(gallery, question, depth)
    rows = [own.rows if allowed is None else own.rows[allowed[own.rows]] for own in proposed]
    watch.lap("fast_scan")
    scanned = [not own.complete and len(left) < wanted_for(k) for own, left in zip(proposed, rows, strict=True)]
    found = [
        scan(gallery, one, k, allowed)[0] if again else Survivors(left)
        for one, left, again in zip(question, rows, scanned, strict=True)
    ]
    watch.lap("scan")
    exact = [own.complete or again for own, again in zip(proposed, scanned, strict=True)]
    return _results(gallery, question, k, found, watch, exact=exact, explain=explain)


def _results(
    gallery: Gallery,
    question: Question,
    k: int,
    found: Sequence[Survivors],
    watch: _Stopwatch,
    count: int | None = None,
    exact: Sequence[bool] | None = None,
    explain: bool = True,
) -> list[SearchResult]:
    """Results of what was found per query, of `count` rows in all (None: those that were found); all exact, or some."""
    hits = rank(gallery, question, found, k, explain)
    watch.lap("rank")
    return [
        SearchResult(
            own,
            exact=exact is None or exact[i],
            bound=None,
            candidates=len(found[i].rows) if count is None else count,
            took_ms=watch.laps,
        )
        for i, own in enumerate(hits)
    ]


class _Stopwatch:
    """Milliseconds by stage, in `laps`."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.laps[stage] = (now - self._last) * 1e3
        self._last = now
