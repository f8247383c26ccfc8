"""A trained baseline on disk: a checkpoint folder that names its model, the widths and the words of its bag.

Only models of vectors can be kept: an index stores vectors, and what it searches by is their inner product.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from model.baselines.dual_encoding import DualEncoding
from model.baselines.experts.collaborative_experts import CollaborativeExperts
from model.baselines.experts.mithun import Mithun
from model.baselines.experts.mmt import MultiModalTransformer
from model.baselines.frozen_towers.clip4clip import CLIP4Clip
from model.baselines.frozen_towers.teachclip import TeachCLIP
from model.baselines.frozen_towers.vop import VoP
from model.baselines.hit import HiT
from model.baselines.hsl import HSL
from model.baselines.msdc import MSDC
from model.baselines.parts.bag_of_words import BagOfWords
from model.baselines.single_vector import VectorModel
from model.baselines.tce import TCE
from model.baselines.vse import VSE
from model.baselines.w2vv import W2VV
from model.baselines.w2vvpp import W2VVPlusPlus
from model.mcsan.checkpoint_files import Checkpoint, read_checkpoint, write_checkpoint
from model.mcsan.checkpoint_identity import BASELINE
from model.two_tower.pixels import PixelTower
from model.two_tower.prepared_models import MODELS_FOLDER
from quartet.errors import ModelError

KINDS: dict[str, type[VectorModel]] = {
    "vse": VSE,
    "mithun": Mithun,
    "w2vv": W2VV,
    "w2vv++": W2VVPlusPlus,
    "dual-encoding": DualEncoding,
    "hsl": HSL,
    "tce": TCE,
    "msdc": MSDC,
    "ce": CollaborativeExperts,
    "mmt": MultiModalTransformer,
    "hit": HiT,
    "clip4clip": CLIP4Clip,
    "teachclip": TeachCLIP,
    "vop": VoP,
}
"""The models that can be kept, as checkpoints name them."""


def save_baseline(folder: Path, checkpoint: Checkpoint[VectorModel], frames: int) -> str:
    """Write a checkpoint and return its fingerprint. `frames` is the most frames of a clip that the model has seen."""
    model = checkpoint.model.trained()
    kind = next(name for name, one in KINDS.items() if type(model) is one)
    made_with = {k: list(v.index) if isinstance(v, BagOfWords) else v for k, v in model.made_with.items()}
    described = {BASELINE: kind, "made_with": made_with, "frames": frames}
    return write_checkpoint(folder, replace(checkpoint, model=model), described)


def load_baseline(folder: Path, models: Path = MODELS_FOLDER) -> tuple[Checkpoint[VectorModel], int]:
    """A checkpoint, in eval mode on the CPU, and the frames of a clip. Raises ModelError as `read_checkpoint` does."""
    frames = 0

    def build(config: dict[str, Any]) -> VectorModel:
        nonlocal frames
        frames = config["frames"]
        if config[BASELINE] not in KINDS:
            raise ModelError(f"The checkpoint {folder} holds a model {config[BASELINE]!r} that is not known here.")
        made_with = dict(config["made_with"])
        if "bag" in made_with:
            made_with["bag"] = BagOfWords.of_words(made_with["bag"])
        return KINDS[config[BASELINE]](**made_with)

    checkpoint = read_checkpoint(folder, models, build)
    if isinstance(checkpoint.model, VoP) and isinstance(checkpoint.backbone, PixelTower):
        checkpoint.model.attach(checkpoint.backbone)
    return checkpoint, frames
