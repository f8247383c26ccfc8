"""Named presets for `quartet train --preset NAME`."""

from __future__ import annotations

from model.backbones import BackboneConfig
from model.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.errors import InputError

PAPER = Preset()
"""The paper to the letter, where its letters can be meant (docs/model.md lists every reading)."""

DEMO = Preset(
    model=ModelConfig(
        feature_dim=576,
        frames=16,
        bottleneck=256,
        embed_dim=256,
        attention_dim=128,
        heads=4,
        dropout=0.1,
        node_dropout=0.1,
        input_dropout=0.1,
        standardise=True,
        attention_scaled=True,
        learned_beta=True,
        projection=True,
        text_global_fc=True,
        learned_weights=True,
    ),
    loss=LossConfig(ranking="infonce", level_ranking=0.5),
    train=TrainConfig(
        batch_size=128,
        epochs=7,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.01,
        schedule="cosine",
        clip_norm=1.0,
        entity_vocabulary=128,
        action_vocabulary=128,
        relation_vocabulary=256,
    ),
    backbone=BackboneConfig("mobilenet_v3_small", (96, 128), "stretch", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
)
"""The bundled checkpoint: a small model of the demo world."""

PRESETS = {"paper": PAPER, "demo": DEMO}


def preset(name: str) -> Preset:
    """Raises InputError that lists the presets if there is none of this name."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}. Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
