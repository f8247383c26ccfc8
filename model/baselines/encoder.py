"""A trained baseline behind the encoder protocol, with one level or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from model.baselines.checkpoint import load_baseline
from model.language.parsed_caption import Attributes, CaptionParser
from model.levels import Vectors
from model.mcsan.checkpoint_encoder import CheckpointEncoder
from model.mcsan.layers import unit
from model.mcsan.text_features import TextFeatures
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER


class BaselineEncoder(CheckpointEncoder):
    """A `StagedEncoder` (`model/encoder.py`) of cosines. It knows of no clip which words it shows."""

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        parser: CaptionParser | None = None,
        models: Path = MODELS_FOLDER,
        precision: Precision = "float32",
    ) -> None:
        checkpoint, frames = load_baseline(folder, models)
        super().__init__(folder, lambda: checkpoint, device, parser, models, precision)
        self.model = checkpoint.model
        self.spec = self.describe(self.model.level_specs(), frames)

    def video_vectors(self, features: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        return self.model.named(self.model.encode_video(features, mask))

    @torch.inference_mode()
    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        text = self.model.collate_text(features).to(self.device)
        return self.numpy(unit(self.model.named(self.model.encode_text(text))))

    def text_queries(self, vectors: Vectors) -> Vectors:
        return vectors

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return vectors

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        return [Attributes([], [], []) for _ in candidates]

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return list(candidates)
