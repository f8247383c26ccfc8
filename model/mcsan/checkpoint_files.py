"""Any trained model on disk: a folder with `model.safetensors` and `config.json`, no pickles.

`config.json` names the parser and the sentence encoder that the model was trained with and the SHA-256 of the weights;
the fingerprint is the hash of all of it. Weights are stored in half precision and computed with in single. Two kinds
are stored in single precision: buffers, such as the statistics of the features, since dividing by them magnifies
errors, and a text tower that was trained with the model (`text_tower.`), of which training changed little.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from model.mcsan.checkpoint_identity import (
    CONFIG_FILE,
    FORMAT,
    WEIGHTS_FILE,
    check_hash,
    file_hash,
    fingerprint_of,
    read_config,
)
from model.two_tower.towers import TwoTower, TwoTowerConfig
from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from model.vision.frame_networks import FrameNetwork, network_config, recorded_two_tower
from quartet.errors import InputError, ModelError

_TEXT_TOWER = "text_tower."

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint(Generic[M]):
    """A loaded model and what it says about itself. `backbone` is None for a model of given features.

    The weights of a two-tower model are not part of a checkpoint: it names the model, and their hash. Those of its text
    tower are where it was trained, too (`unfrozen`).
    """

    name: str
    note: str
    model: M
    backbone: FrameNetwork | None
    vocabularies: dict[str, list[str]]
    parser: str
    sentence_encoder: str
    fingerprint: str = ""
    unfrozen: bool = False


def write_checkpoint(folder: Path, checkpoint: Checkpoint[M], described: Mapping[str, Any]) -> str:
    """Write a checkpoint whose architecture is `described`, as JSON has it, and return its fingerprint.

    The folder is made; an older checkpoint in it is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{k}": v for k, v in checkpoint.model.state_dict().items()}
    if isinstance(checkpoint.backbone, Backbone):
        tensors |= {f"backbone.{k}": v for k, v in checkpoint.backbone.state_dict().items()}
    exact = {f"model.{name}" for name, _ in checkpoint.model.named_buffers()}
    weights = {name: (value if name in exact else _halved(value)).contiguous().cpu() for name, value in tensors.items()}
    if checkpoint.unfrozen and isinstance(checkpoint.backbone, TwoTower):
        tuned = checkpoint.backbone.text_tower.state_dict()
        weights |= {f"{_TEXT_TOWER}{k}": v.contiguous().cpu() for k, v in tuned.items()}
    save_file(weights, folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(0o644)  # the library writes files that only their owner can read
    config = {
        "format": FORMAT,
        "name": checkpoint.name,
        "note": checkpoint.note,
        **described,
        "backbone": asdict(checkpoint.backbone.config) if checkpoint.backbone else None,
        "parser": checkpoint.parser,
        "sentence_encoder": checkpoint.sentence_encoder,
        "weights_sha256": file_hash(folder / WEIGHTS_FILE),
        "vocabularies": checkpoint.vocabularies,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return fingerprint_of(config)


def read_checkpoint(folder: Path, models: Path, build: Callable[[dict[str, Any]], M]) -> Checkpoint[M]:
    """Read a checkpoint, in eval mode on the CPU. `build` makes the model that its configuration describes.

    Raises ModelError if files are missing, of another format, if the weights are not those that the configuration
    names, or if the two-tower model that it was trained on top of is not below `models`.
    """
    config = read_config(folder)
    check_hash(folder / WEIGHTS_FILE, config["weights_sha256"])
    try:
        weights = load_file(folder / WEIGHTS_FILE)
        model = build(config)
        model.load_state_dict(_part(weights, "model."))
        backbone: FrameNetwork | None = None
        if config["backbone"] is not None:
            backbone = _network(network_config(config["backbone"]), weights, models)
        return Checkpoint(
            config["name"],
            config["note"],
            model.eval(),
            backbone,
            config["vocabularies"],
            config["parser"],
            config["sentence_encoder"],
            fingerprint_of(config),
            any(name.startswith(_TEXT_TOWER) for name in weights),
        )
    except (KeyError, TypeError, RuntimeError, SafetensorError, InputError) as error:
        raise ModelError(f"The checkpoint {folder} cannot be loaded: {error}") from error


def _network(config: BackboneConfig | TwoTowerConfig, weights: dict[str, torch.Tensor], models: Path) -> FrameNetwork:
    if isinstance(config, TwoTowerConfig):
        tower = recorded_two_tower(config, models)
        if tuned := _part(weights, _TEXT_TOWER):
            tower.text_tower.load_state_dict(tuned)
        return tower
    backbone = Backbone(config).eval()
    backbone.load_state_dict(_part(weights, "backbone."))
    return backbone


def _halved(value: torch.Tensor) -> torch.Tensor:
    """Half precision, unless a number would become infinite in it."""
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if half.isfinite().all() else value


def _part(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): _single(v) for k, v in weights.items() if k.startswith(prefix)}


def _single(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value
