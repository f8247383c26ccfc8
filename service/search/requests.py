"""What a request asks for, between the JSON of the API and the search."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from indexer.search.filters import ClipFilter
from model.encoder import Frames


@dataclass(frozen=True)
class Wanted:
    """Hits number `offset` to `offset + k`, best first, that score at least `min_score`.

    weights  of levels; those that are left out keep the model's
    filter   which clips may be hits; None: all
    explain  also say how the answer was found
    asked    when the request came, by `time.perf_counter`
    """

    k: int = 10
    offset: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: ClipFilter | None = None
    min_score: float | None = None
    explain: bool = False
    asked: float = field(default_factory=time.perf_counter)

    @property
    def depth(self) -> int:
        """How many hits have to be found."""
        return self.offset + self.k


class Sentences(NamedTuple):
    """Clips for each of several sentences."""

    texts: tuple[str, ...]
    wanted: Wanted


class OfClip(NamedTuple):
    """Captions or clips for a clip of the library."""

    clip_id: int
    wanted: Wanted


class OfFrames(NamedTuple):
    """Captions for a clip that is not in the library, from its sampled frames."""

    frames: Frames
    wanted: Wanted
