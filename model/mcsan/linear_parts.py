"""What of a trained MCSAN needs no network: its levels, the fold of the global level, the heads of its concepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import safe_open

from model.levels import LEVEL_NAMES, FloatArray, LevelSpec
from model.mcsan.concept_heads import FITTED, TRAINED, ConceptHead, RoleHead
from model.mcsan.config import ModelConfig

CONCEPT_LEVELS = ("entity", "action", "relation")
SHOWN_LEVELS = ("entity", "action")
"""The levels whose words a clip is said to show; a relation is shown if its nouns and verbs are."""
ROLES = "roles"
"""The vocabulary of verbs, with their prepositions, whose roles are read."""


def reads_roles(config: ModelConfig) -> bool:
    """Whether a model says of a clip who does something to whom."""
    return config.fitted_concepts and config.has_pairs


def concept_levels(config: ModelConfig) -> tuple[str, ...]:
    """The levels that are read for concepts: all but the global one, and but a relation level switched off."""
    return tuple(name for name in CONCEPT_LEVELS if name != "relation" or config.relation_level)


def level_specs(config: ModelConfig, log_weights: FloatArray, bias: float) -> tuple[LevelSpec, ...]:
    """How inner products of a model become scores. Weights have mean 1; that of a level switched off is 0."""
    on = np.array([name != "relation" or config.relation_level for name in LEVEL_NAMES])
    shares = np.where(on, np.exp(log_weights - log_weights.max()), np.float32(0))
    weights = dict(zip(LEVEL_NAMES, (shares / shares.sum() * np.float32(len(LEVEL_NAMES))).tolist(), strict=True))
    return tuple(
        LevelSpec(
            name,
            width,
            "sigmoid" if name == "global" else "identity",
            bias=bias if name == "global" else 0.0,
            weight=weights[name],
        )
        for name, width in config.widths.items()
    )


@dataclass(frozen=True)
class LinearParts:
    """See the module. `fold` (d_s,) is the weight of the holographic head."""

    levels: tuple[LevelSpec, ...]
    fold: FloatArray
    heads: Mapping[str, ConceptHead]
    roles: RoleHead | None = None

    @classmethod
    def read(cls, weights: Path, config: ModelConfig, vocabularies: Mapping[str, Sequence[str]]) -> Self:
        """Of the weights of a checkpoint. Raises SafetensorError or KeyError where they are not there."""
        with safe_open(weights, framework="numpy") as file:

            def single(name: str) -> FloatArray:
                found: FloatArray = np.asarray(file.get_tensor(f"model.{name}"), np.float32)
                return found

            heads = {}
            for level in SHOWN_LEVELS:
                rows = {word: i for i, word in enumerate(vocabularies[level])}
                if config.fitted_concepts:
                    weight, bias = (single(f"shown.{level}.{part}") for part in ("weight", "bias"))
                    heads[level] = ConceptHead(rows, weight, bias, LEVEL_NAMES, *FITTED[level])
                else:
                    scale = single("concept_scale")[CONCEPT_LEVELS.index(level)]
                    weight, bias = scale * single(f"concepts.{level}.weight"), single(f"concepts.{level}.bias")
                    heads[level] = ConceptHead(rows, weight, bias, (level,), *TRAINED[level])
            levels = level_specs(config, single("log_weights"), float(single("head.bias")))
            roles = None
            if reads_roles(config):
                nouns, verbs = ({word: i for i, word in enumerate(vocabularies[own])} for own in ("entity", ROLES))
                roles = RoleHead(nouns, single("roles.nouns.weight"), verbs, single("roles.verbs.weight"))
            return cls(levels, single("head.weight"), heads, roles)

    def fold_texts(self, texts: FloatArray) -> FloatArray:
        """Text vectors (B, d_s) -> queries (B, d_s), by correlation with `fold`: see `model/holographic_head.py`."""
        return self._folded(np.fft.rfft(self.fold).conj(), texts)

    def fold_videos(self, videos: FloatArray) -> FloatArray:
        """Video vectors (B, d_s) -> queries (B, d_s), by convolution with `fold`."""
        return self._folded(np.fft.rfft(self.fold), videos)

    @staticmethod
    def _folded(by: np.ndarray, vectors: FloatArray) -> FloatArray:
        found = np.fft.irfft(by * np.fft.rfft(vectors), n=vectors.shape[-1])
        return found.astype(np.float32)
