"""Which videos train and which validate, where the captions do not say; and which part of a split is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.training.data.dataset import CaptionedVideo

HELD_OUT = 0.1
"""Share of the training videos that validate where the captions name no validation split."""


def hold_out(videos: Sequence[CaptionedVideo], seed: int) -> tuple[list[CaptionedVideo], list[CaptionedVideo]]:
    """Videos to train on and to validate on, at least one, drawn by the seed and in their old order."""
    order = np.random.default_rng(seed).permutation(len(videos))
    held = max(1, round(HELD_OUT * len(videos)))
    return [videos[i] for i in sorted(order[held:])], [videos[i] for i in sorted(order[:held])]


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `count` rows, evenly spread, in order."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
