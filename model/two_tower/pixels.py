"""Frames as the picture tower of a two-tower model takes them, for models that learn inside that tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from model.encoder import Frames
from model.precision import Precision
from model.two_tower.towers import TwoTower, TwoTowerConfig
from quartet.errors import ModelError

PIXELS = "pixel_values"


@dataclass(frozen=True)
class PixelConfig(TwoTowerConfig):
    """Which model the frames were prepared for, and the shape of one: channels, height, width."""

    pixels: tuple[int, int, int]


class PixelTower(TwoTower):
    """A two-tower model of pictures whose `features` are the prepared frames themselves, one in a row.

    `feature_dim` stays that of the common space. Raises ModelError for a model that takes more than pixels.
    """

    config: PixelConfig

    def __init__(self, folder: Path, device: str = "cpu", name: str | None = None) -> None:
        super().__init__(folder, device, name)
        prepared = self._prepare(np.zeros((1, 32, 32, 3), np.uint8))
        if self.clip_frames is not None or set(prepared) != {PIXELS}:
            raise ModelError(f"Frames of a {self.network.class_name} are not pixels alone. Use a CLIP or SigLIP model.")
        channels, height, width = prepared[PIXELS].shape[1:]
        self.config = PixelConfig(**asdict(self.config), pixels=(channels, height, width))

    def freeze(self, key: str | None = None, precision: Precision = "float32") -> Self:
        """Nothing is converted: what learns inside the towers needs the network of PyTorch."""
        return self

    def features(self, clips: Sequence[Frames]) -> list[Tensor]:
        """Prepared frames of clips: one (T_i, channels * height * width) float32 tensor per clip, on the CPU."""
        return [self._prepare(frames)[PIXELS].flatten(1).cpu() for frames in clips]
