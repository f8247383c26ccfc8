"""Named presets for `quartet train --preset NAME`."""

from __future__ import annotations

from model.mcsan.config import LossConfig, ModelConfig, Preset, TrainConfig
from model.vision.backbone_config import BackboneConfig
from quartet.errors import InputError

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
        fitted_concepts=True,
    ),
    loss=LossConfig(ranking="infonce", level_ranking=0.5, hard_negatives=0.5),
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

PLUS = Preset(
    model=ModelConfig(
        embed_dim=256,
        attention_dim=128,
        heads=8,
        dropout=0.1,
        node_dropout=0.1,
        input_dropout=0.5,
        clip_dropout=True,
        frame_dropout=0.2,
        train_frames=6,
        level_fc=False,
        standardise=True,
        video_global="mean",
        action_pool="change",
        projection=True,
        text_global_fc=True,
        head_scale=4.0,
        centred=True,
    ),
    loss=LossConfig(ranking="infonce", fused_ranking=0.0, level_ranking=1.0, kl_weight=0.0),
    train=TrainConfig(
        batch_size=128,
        epochs=6,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.01,
        schedule="cosine",
        keep="last",
        clip_norm=1.0,
        fit_dropout=True,
        fit_weights=True,
        views=60,
    ),
)
"""What retrieves best on captioned videos in the thousands: see docs/results.md for each step's gain."""

CLIP = Preset(
    model=ModelConfig(
        frames=12,
        embed_dim=256,
        attention_dim=128,
        heads=8,
        dropout=0.1,
        node_dropout=0.1,
        input_dropout=0.2,
        clip_dropout=True,
        level_fc=False,
        standardise=True,
        video_global="residual",
        action_pool="change",
        projection=True,
        text_global_fc=True,
    ),
    loss=LossConfig(ranking="infonce", fused_ranking=0.0, level_ranking=1.0, kl_weight=0.0),
    train=TrainConfig(
        batch_size=128,
        epochs=8,
        optimizer="adamw",
        learning_rate=3e-4,
        weight_decay=0.01,
        schedule="cosine",
        clip_norm=1.0,
        fit_weights=True,
    ),
    texts="two-tower",
)
"""Training on top of a two-tower model: the global level starts as zero-shot search (docs/zero-shot.md)."""

PRESETS = {"paper": PAPER, "demo": DEMO, "plus": PLUS, "clip": CLIP}


def preset(name: str) -> Preset:
    """Raises InputError that lists the presets if there is not one of this name."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}. Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
