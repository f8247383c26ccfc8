"""Which network sees the frames: read without the network and the libraries that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BackboneConfig:
    """Which network sees the frames, and how they are prepared for it.

    arch        a torchvision classification model, such as "resnet152"
    image_size  (height, width) of its input in pixels
    resize      "crop": scale the shorter side, keep the centre (as torchvision's presets do);
                "stretch": scale both sides, so that nothing of the frame is lost
    mean, std   per RGB channel, of values in [0, 1]
    """

    arch: str = "resnet152"
    image_size: tuple[int, int] = (224, 224)
    resize: Literal["crop", "stretch"] = "crop"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
