"""Clips in the time of their videos: which may follow which, and the best of those that may come before or after."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from indexer.search.filters import ClipTable
from indexer.search.question import Floats
from indexer.search.survivors import Positions

_SECOND = 1_000_000
"""Times are whole microseconds: whether a clip follows another is then the same whoever of the two is asked."""

_TOUCHING = _SECOND // 1000
"""Of two clips that follow each other the second may begin so much before the end of the first."""

_KEPT = 4
"""Of so many different `within` what may come before each clip is kept: 16 bytes a clip."""


@dataclass(frozen=True)
class Timeline:
    """Clips in the order of video, beginning and id.

    ids, videos   int64 (n,)
    starts, ends  int64 (n,): microseconds; a clip lasts at least a little
    """

    ids: Positions
    videos: Positions
    starts: Positions
    ends: Positions
    _known: dict[float, tuple[Positions, Positions]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, table: ClipTable) -> Timeline:
        starts = np.rint(table.starts * _SECOND).astype(np.int64)
        # So that no clip follows itself.
        ends = np.maximum(np.rint(table.ends * _SECOND).astype(np.int64), starts + 2 * _TOUCHING)
        order = np.lexsort((table.ids, starts, table.video_ids))
        return cls(table.ids[order], table.video_ids[order], starts[order], ends[order])

    def __len__(self) -> int:
        return len(self.ids)

    def keep(self, which: npt.NDArray[np.bool_]) -> Timeline:
        return Timeline(self.ids[which], self.videos[which], self.starts[which], self.ends[which])

    @cached_property
    def first_of_video(self) -> Positions:
        """Where each video begins."""
        return np.flatnonzero(np.diff(self.videos, prepend=self.videos[:1] - 1)) if len(self) else self.ids

    @cached_property
    def video_numbers(self) -> Positions:
        """The number of each clip's video, from 0 on, (n,)."""
        lengths = np.diff(self.first_of_video, append=len(self))
        return np.repeat(np.arange(len(self.first_of_video)), lengths)

    def places(self, clips: Positions) -> Positions:
        """Where each of these clips is, -1 for one that is not there: (n,)."""
        if not len(self):
            return np.full(len(clips), -1)
        at = self._by_id[np.minimum(np.searchsorted(self.ids, clips, sorter=self._by_id), len(self) - 1)]
        return np.where(self.ids[at] == clips, at, -1)

    @cached_property
    def _by_id(self) -> Positions:
        return np.argsort(self.ids)

    @cached_property
    def by_end(self) -> Positions:
        """The clips in the order of video and end."""
        return np.lexsort((self.ends, self.videos))

    def before(self, within: float) -> tuple[Positions, Positions]:
        """For every clip the first and one past the last place in `by_end` of the clips that it may follow.

        It begins at the end of such a clip or at most `within` seconds later.
        What the latest few `within` gave is kept.
        """
        found = self._known.get(within)
        if found is None:
            found = self._before(within)
            # Several threads may do this at once: each then keeps a part of what was kept, and what it has found.
            latest = dict(list(self._known.items())[1 - _KEPT :])
            object.__setattr__(self, "_known", {**latest, within: found})
        return found

    def _before(self, within: float) -> tuple[Positions, Positions]:
        span = self._span(within)
        ends = (self.video_numbers * span + self.ends)[self.by_end]
        starts = self.video_numbers * span + self.starts
        first = np.searchsorted(ends, starts - self._gap(within), side="left")
        return first, np.searchsorted(ends, starts + _TOUCHING, side="right")

    def after(self, within: float) -> tuple[Positions, Positions]:
        """For every clip the first and one past the last place of the clips that may follow it."""
        span = self._span(within)
        starts = self.video_numbers * span + self.starts
        ends = self.video_numbers * span + self.ends
        first = np.searchsorted(starts, ends - _TOUCHING, side="left")
        return first, np.searchsorted(starts, ends + self._gap(within), side="right")

    def _gap(self, within: float) -> int:
        return round(within * _SECOND) + _TOUCHING

    def _span(self, within: float) -> int:
        """More than from the beginning of a video to the end of what may follow its last clip."""
        return int(self.ends.max(initial=0)) + 2 * self._gap(within) + 1


def largest(values: Floats, first: Positions, last: Positions) -> Floats:
    """The largest of values[first[i] : last[i]] for every i, -inf for none.

    By runs of 1, 2, 4, ... values, two of which cover any range (Bender and Farach-Colton, 2000).
    """
    found = np.full(len(first), -np.inf)
    lengths = last - first
    some = lengths > 0
    if not some.any():
        return found
    # exponents[i]: two runs of 2 ** exponents[i] values cover the range.
    exponents = np.zeros(len(first), np.int64)
    exponents[some] = np.frexp(lengths[some])[1] - 1
    run = values
    for exponent in range(int(exponents.max()) + 1):
        if exponent:
            half = 1 << (exponent - 1)
            run = np.maximum(run[:-half], run[half:])
        mine = some & (exponents == exponent)
        found[mine] = np.maximum(run[first[mine]], run[last[mine] - (1 << exponent)])
    return found
