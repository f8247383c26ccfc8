"""Is every level alive? The spread of its scores and what it finds alone.

A ranking loss on the fused score can kill a level: its scores become one constant, the other levels carry on, and no
loss tells. So each level is looked at by itself after every validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.evaluation.metrics import Retrieval, chance
from model.levels import LevelSpec, Vectors

DEAD_SPREAD = 1e-3
"""A level whose scores for one caption vary less than this over the videos decides nothing."""

_PERFECT = 600.0  # SumR of six recalls of 100%
_ABOVE_CHANCE = 0.02  # part of the way from chance to perfect that a level must have come, or twice chance


@dataclass(frozen=True)
class LevelHealth:
    """One level alone on the validation videos.

    spread    standard deviation of its scores over the videos, mean over the captions that have the level
    r1        text-to-video recall@1 in percent        sum_r   its SumR        chance   SumR of a random order
    """

    spread: float
    r1: float
    sum_r: float
    chance: float

    @property
    def trouble(self) -> str:
        """What is wrong with the level, as the end of a sentence; "" for a level that is alive."""
        if not self.spread >= DEAD_SPREAD:  # also where it is not a number
            return f"its scores for a caption differ by {self.spread:.1e} only"
        if self.sum_r < self.chance + min(self.chance, _ABOVE_CHANCE * (_PERFECT - self.chance)):
            return f"its SumR of {self.sum_r:.1f} is near the {self.chance:.1f} of a random order"
        return ""


def spreads(specs: Sequence[LevelSpec], queries: Vectors, videos: Vectors) -> dict[str, float]:
    """The `spread` of every level from query vectors of captions and vectors of videos; nan if no caption has it.

    Captions without the level do not count: their constant scores would hide a dead level.
    """
    found = {}
    for spec in specs:
        own = queries[spec.name][queries[spec.name].any(axis=1)]
        scores = spec.activate(own @ videos[spec.name].T)
        found[spec.name] = float(scores.std(axis=1).mean()) if len(own) else float("nan")
    return found


def chance_sum_r(owner: npt.NDArray[np.int64]) -> float:
    """Expected SumR of a random order where text i describes video owner[i]."""
    own = np.bincount(owner)
    both = (chance(np.ones(len(owner), np.int64), len(own)), chance(own, len(owner)))
    return sum(direction[at] for direction in both for at in ("r1", "r5", "r10"))


def level_health(
    results: Mapping[str, Retrieval], spread: Mapping[str, float], owner: npt.NDArray[np.int64]
) -> dict[str, LevelHealth]:
    """Every level's health from a validation's metrics and `spreads`; the levels are those of `spread`.

    Empty for a single video: there is nothing that a level could tell it apart from.
    """
    if not owner.any():
        return {}
    expected = chance_sum_r(owner)
    return {
        name: LevelHealth(value, results[name].text_to_video.r1, results[name].sum_r, expected)
        for name, value in spread.items()
    }


def health_line(health: Mapping[str, LevelHealth]) -> str:
    """ "R@1 (spread) global 12.1 (0.080), entity 8.0 (0.210), ..." """
    levels = [f"{name} {level.r1:.1f} ({level.spread:.3f})" for name, level in health.items()]
    return "R@1 (spread) " + ", ".join(levels)


def warnings(health: Mapping[str, LevelHealth]) -> list[str]:
    """One sentence for every level that is dead."""
    return [f"Level {name!r} is dead: {level.trouble}." for name, level in health.items() if level.trouble]
