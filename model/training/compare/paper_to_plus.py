"""The way from the preset `paper` to the preset `plus`, one change at a time, to measure what each is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model.mcsan.config import Preset
from model.mcsan.presets import PAPER

CHANGES: dict[str, Mapping[str, Mapping[str, Any]]] = {
    "small": {"model": {"embed_dim": 256, "attention_dim": 128}},
    "+infonce": {"loss": {"ranking": "infonce", "kl_weight": 0.0}},
    "+adamw": {
        "model": {"dropout": 0.1, "node_dropout": 0.1},
        "train": {
            "batch_size": 128,
            "epochs": 6,
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "schedule": "cosine",
            "clip_norm": 1.0,
        },
    },
    "+standardise": {"model": {"standardise": True, "input_dropout": 0.5}},
    "+mean": {"model": {"video_global": "mean", "text_global_fc": True, "head_scale": 4.0}},
    "+plain": {"model": {"level_fc": False, "projection": True, "action_pool": "change"}},
    "+frames": {"model": {"frame_dropout": 0.2, "train_frames": 6}},
    "+apart": {"loss": {"fused_ranking": 0.0, "level_ranking": 1.0}},
    "+clip-dropout": {"model": {"clip_dropout": True}},
    "+fit-dropout": {"train": {"fit_dropout": True}},
    "+fit-weights": {"train": {"fit_weights": True}},
    "+last": {"train": {"keep": "last"}},
    "+centred": {"model": {"centred": True}},
    "plus": {"train": {"views": 60}},
}
"""What each step changes in which part of the preset; a step keeps those of the steps before it. The last is `plus`."""


def steps() -> dict[str, Preset]:
    """The preset after each step, by the name of the step."""
    found = {}
    current = PAPER
    for name, parts in CHANGES.items():
        for part, values in parts.items():
            current = replace(current, **{part: replace(getattr(current, part), **values)})
        found[name] = current
    return found
