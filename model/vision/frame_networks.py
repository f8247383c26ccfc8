"""The networks that see frames: a torchvision backbone, or the picture tower of a two-tower model.

Both have a `config` that a features file and a checkpoint keep, a `feature_dim`, and `features(clips)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.json_config import from_json
from model.two_tower.layouts import find_layout
from model.two_tower.pixels import PixelConfig, PixelTower
from model.two_tower.prepared_models import MODELS_FOLDER, find_prepared
from model.two_tower.towers import TwoTower, TwoTowerConfig
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError, ModelError

FrameNetwork = Backbone | TwoTower
FrameNetworkConfig = BackboneConfig | TwoTowerConfig


def network_config(data: Mapping[str, Any]) -> FrameNetworkConfig:
    """A configuration from its JSON form. Raises InputError."""
    if "pixels" in data:
        return from_json(PixelConfig, data)
    return from_json(TwoTowerConfig, data) if "two_tower" in data else from_json(BackboneConfig, data)


def load_two_tower(
    name: str, models: Path = MODELS_FOLDER, device: str = "cpu", pixels: bool = False
) -> TwoTower | PixelTower:
    """A two-tower model by the name that it was prepared under, or by its folder.

    With `pixels` its features of frames are the prepared frames themselves.

    Raises InputError with the command to run if it is not on this machine, ModelError if it cannot be loaded.
    """
    kind = PixelTower if pixels else TwoTower
    prepared = find_prepared(models, name)
    if prepared is not None:
        return kind(prepared, device, name)
    if find_layout(Path(name)) is None:
        raise InputError(
            f"The two-tower model {name!r} is not on this machine. Run: quartet prepare {name} (or give its folder)"
        )
    return kind(Path(name), device)


def recorded_two_tower(config: TwoTowerConfig, models: Path = MODELS_FOLDER) -> TwoTower:
    """The very model that made features or a checkpoint. Raises InputError, or ModelError if it is another one."""
    tower = load_two_tower(config.two_tower, models, pixels=isinstance(config, PixelConfig))
    if tower.config.sha256 != config.sha256:
        raise ModelError(
            f"The two-tower model {config.two_tower} has different files than before "
            f"({tower.config.sha256[:12]}, not {config.sha256[:12]}). Prepare the revision that was used "
            "before."
        )
    return tower
