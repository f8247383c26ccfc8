"""Which clips may be hits: by video and by time. Resolved to ids before a search, which then looks at no others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.errors import InputError


@dataclass(frozen=True)
class ClipFilter:
    """Every condition that is given must hold.

    video_ids  clips of these videos
    start, end  clips that have a part in [start, end), in seconds from the beginning of their video
    Raises InputError if the time range is empty.
    """

    video_ids: frozenset[int] | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError(f"The time range from {self.start:g} s to {self.end:g} s is empty. Let it end later.")


@dataclass(frozen=True)
class ClipTable:
    """The video and the time of every clip of a catalogue, as columns: a filter over a million takes milliseconds."""

    ids: npt.NDArray[np.int64]
    video_ids: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]

    def select(self, wanted: ClipFilter) -> npt.NDArray[np.int64]:
        """Ids, ascending, of the clips that the filter keeps."""
        keep = np.ones(len(self.ids), dtype=np.bool_)
        if wanted.video_ids is not None:
            keep &= np.isin(self.video_ids, np.array(sorted(wanted.video_ids), dtype=np.int64))
        if wanted.start is not None:
            keep &= self.ends > wanted.start
        if wanted.end is not None:
            keep &= self.starts < wanted.end
        return self.ids[keep]
