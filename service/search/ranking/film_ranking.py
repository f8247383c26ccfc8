"""Films ranked by their best moments where texts count too: the first clip of each film among all clips, best first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from indexer.search.filters import ClipTable
from indexer.search.moments.best_moments import TIMELINE, Chain
from indexer.search.result import Hit, SearchResult
from indexer.search.text_evidence import Ids

_CLIPS_OF_A_FILM = 4
"""So many clips are looked at first for each film that is wanted."""

Search = Callable[[int, Ids | None], SearchResult]
"""The first k clips, of all that may be hits or of the given ids alone."""


def best_films(search: Search, table: ClipTable, depth: int, allowed: Ids | None) -> tuple[list[Chain], SearchResult]:
    """The first `depth` films, each by its best clip and with more of its best, and the search that found them.

    allowed  clips that may be hits; None: all
    """
    wanted = _CLIPS_OF_A_FILM * depth
    while True:
        found = search(wanted, None)
        first: dict[int, Hit] = {}
        for hit in found.hits:
            first.setdefault(int(table.video_ids[np.searchsorted(table.ids, hit.id)]), hit)
        if len(first) >= depth or len(found.hits) < wanted:
            break
        wanted *= _CLIPS_OF_A_FILM
    order = sorted(first, key=lambda video: (-first[video].score, video))[:depth]
    chains = []
    for video in order:
        best, clips = first[video], table.ids[table.video_ids == video]
        own = clips if allowed is None else np.intersect1d(clips, allowed)
        others = search(TIMELINE, own).hits
        chains.append(Chain(best.score, (best,), tuple(hit for hit in others if hit.id != best.id)))
    return chains, found
