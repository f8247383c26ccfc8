"""Which clips may be hits: by video, tag and time. Resolved to ids before a search, which then looks at no others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quartet.errors import InputError

_LONGEST_TAG = 64
"""Characters."""


def clean_tag(tag: str) -> str:
    """A tag as the catalogue has it: lower case, single spaces.

    Raises InputError for one without a letter or digit, with a comma or a control character, or longer than 64
    characters.
    """
    clean = " ".join(tag.split()).lower()
    if not any(c.isalnum() for c in clean) or "," in clean or not clean.isprintable():
        raise InputError(f"{tag!r} is no tag: use letters and digits, with spaces or hyphens, without commas.")
    if len(clean) > _LONGEST_TAG:
        raise InputError(f"The tag {clean[:20]!r}... has {len(clean)} characters; {_LONGEST_TAG} are the most.")
    return clean


@dataclass(frozen=True)
class ClipFilter:
    """Every condition that is given must hold.

    video_ids  clips of these videos
    tags  clips of videos that have all of these tags, in any case of letters
    start, end  clips that have a part in [start, end), in seconds from the beginning of their video
    Raises InputError if the time range is empty or a tag is none.
    """

    video_ids: frozenset[int] | None = None
    start: float | None = None
    end: float | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset(clean_tag(tag) for tag in self.tags))
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError(f"The time range from {self.start:g} s to {self.end:g} s is empty. Let it end later.")


@dataclass(frozen=True)
class ClipTable:
    """The video and the time of every clip of a catalogue, as columns: a filter over a million takes milliseconds."""

    ids: npt.NDArray[np.int64]
    video_ids: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]

    def select(self, wanted: ClipFilter, tagged: Collection[int] | None = None) -> npt.NDArray[np.int64]:
        """Ids, ascending, of the clips that the filter keeps; `tagged`: the videos with its tags, if it has any."""
        keep = np.ones(len(self.ids), dtype=np.bool_)
        if tagged is not None:
            keep &= np.isin(self.video_ids, np.array(sorted(tagged), dtype=np.int64))
        if wanted.video_ids is not None:
            keep &= np.isin(self.video_ids, np.array(sorted(wanted.video_ids), dtype=np.int64))
        if wanted.start is not None:
            keep &= self.ends > wanted.start
        if wanted.end is not None:
            keep &= self.starts < wanted.end
        return self.ids[keep]
