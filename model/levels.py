"""Levels: an inner product followed by a monotone activation.

    score(query, item) = sum_l w_l * act_l(a_l * <v_l, q_l> + b_l) / sum_l w_l,   a_l > 0

Everything after the encoders (index, fusion, service) knows a level through its `LevelSpec` alone.
This file needs NumPy and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from quartet.errors import InputError

LEVEL_MEANINGS = {
    "global": "the clip as a whole",
    "entity": "the things in it",
    "action": "what happens",
    "relation": "who does what to whom",
}
"""What each level looks at, for people: shown next to its name."""

LEVEL_NAMES = tuple(LEVEL_MEANINGS)
"""The four semantic levels of MCSAN, in the order in which they are always shown."""

MIN_WEIGHT = 1e-12
"""Of the largest weight: a level that weighs less would be lost in single precision."""

WORDS = "words"
"""The level of texts at the time of a clip (`indexer.search.text_evidence`). No model has it itself."""

FRAMES = "frames"
"""The vectors of single frames among those of the levels: (B, count * dim) float16, see `FrameSpec`. No level."""

FloatArray = npt.NDArray[np.float32]
Vectors = dict[str, FloatArray]
"""One (B, d_l) float32 array per level name. A row of zeros means: the level is absent for this item."""


def without_frames(vectors: Vectors) -> Vectors:
    """Those of the levels alone."""
    return {name: rows for name, rows in vectors.items() if name != FRAMES}


def finite_rows(vectors: Mapping[str, FloatArray]) -> npt.NDArray[np.bool_]:
    """Which items have vectors, and lengths of them, without NaN and infinity at every level: bool (B,)."""
    lengths = [np.einsum("bd,bd->b", rows, rows, dtype=np.float64) for rows in vectors.values()]
    return np.asarray(np.isfinite(np.array(lengths)).all(axis=0))


@dataclass(frozen=True)
class LevelSpec:
    """How the inner products of one level become scores.

    `scale` (a_l) must be positive, so that the order by inner product is the order by score.
    `weight` is the default w_l of the fused score.
    """

    name: str
    dim: int
    activation: Literal["identity", "sigmoid"] = "identity"
    scale: float = 1.0
    bias: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise InputError(f"Level {self.name!r}: scale must be positive, not {self.scale}.")
        if self.weight < 0:
            raise InputError(f"Level {self.name!r}: weight must not be negative, not {self.weight}.")
        if self.activation not in ("identity", "sigmoid"):
            raise InputError(f"Level {self.name!r}: unknown activation {self.activation!r}.")

    def activate(self, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Scores of inner products, elementwise: act(scale * raw + bias), in the dtype of `raw`."""
        z = self.scale * raw + self.bias
        # exp(-logaddexp(0, -z)) is the sigmoid without overflow at either end.
        return np.exp(-np.logaddexp(0, -z)) if self.activation == "sigmoid" else z

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FrameSpec:
    """Vectors of single frames of a clip, for a second look at the best hits (`indexer.search.second_look`).

    count   vectors of a clip, in the order of time, each of length 1; of a shorter clip the last are zeros
    dim     numbers of each
    best    how many frames or windows a phrase picks
    window  by level how many neighbouring frames are one window. Levels that are not named are not looked at again
    """

    count: int
    dim: int
    best: int
    window: Mapping[str, int]

    @property
    def width(self) -> int:
        """Numbers of a clip."""
        return self.count * self.dim


def resolve_weights(specs: Sequence[LevelSpec], requested: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of every level for one request: the defaults of `specs`, overridden by `requested`.

    Raises InputError for an unknown level, a negative or non-finite weight, all weights 0, or a weight above 0 that
    is less than MIN_WEIGHT of the largest.
    """
    weights = {spec.name: spec.weight for spec in specs}
    for name, weight in (requested or {}).items():
        if name not in weights:
            raise InputError(f"Unknown level {name!r}. The levels are: {', '.join(weights)}.")
        if not np.isfinite(weight) or weight < 0:
            raise InputError(f"The weight of level {name!r} must be a number of at least 0, not {weight}.")
        weights[name] = float(weight)
    if not any(weights.values()):
        raise InputError("All weights are 0. Give at least one level a weight above 0.")
    largest = max(weights.values())
    for name, weight in weights.items():
        if 0 < weight < MIN_WEIGHT * largest:
            raise InputError(
                f"The weight of level {name!r}, {weight:g}, is too small compared with the largest, {largest:g}. "
                f"Give it 0, or at least {MIN_WEIGHT:g} of that."
            )
    return weights
