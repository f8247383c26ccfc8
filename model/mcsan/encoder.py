"""A trained MCSAN checkpoint behind the encoder protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from model.cpu_backend import CpuNetwork
from model.json_config import from_json
from model.language.parsed_caption import Attributes, CaptionParser
from model.language.sentence_encoder import OTHER_MODEL, TWO_TOWER_MODEL
from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.checkpoint_encoder import CheckpointEncoder
from model.mcsan.checkpoint_identity import BASELINE, WEIGHTS_FILE, check_hash
from model.mcsan.concept_heads import ConceptReader
from model.mcsan.config import ModelConfig
from model.mcsan.linear_parts import LinearParts
from model.mcsan.text_features import TextFeatures, collate, padded
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER
from quartet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from model.cuda_graphs import GraphedFunction
    from model.mcsan.checkpoint import Checkpoint
    from model.mcsan.network import MCSAN
    from model.mcsan.text_tower import TensorTower


class McsanEncoder(CheckpointEncoder):
    """Encodes clips and texts with one checkpoint: a `StagedEncoder` (`model/encoder.py`).

    `cuda_graphs`: encode texts by CUDA graphs (`model/cuda_graphs.py`), for a device that is a GPU.
    `precision`: of the frozen networks on a CPU (`model/cpu_backend.py`); the towers are computed in float32.
    Raises ModelError as `CheckpointEncoder` does.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        parser: CaptionParser | None = None,
        models: Path = MODELS_FOLDER,
        cuda_graphs: bool = False,
        precision: Precision = "float32",
    ) -> None:
        def load() -> Checkpoint[MCSAN]:
            from model.mcsan.checkpoint import load_checkpoint

            return load_checkpoint(folder, models)

        super().__init__(folder, load, device, parser, models, precision)
        try:
            shape = from_json(ModelConfig, self.config["model"])
            if self.loads_late(self.config):
                check_hash(folder / WEIGHTS_FILE, self.config["weights_sha256"])
            self._linear = LinearParts.read(folder / WEIGHTS_FILE, shape, self.config["vocabularies"])
        except (KeyError, TypeError, SafetensorError, InputError) as error:
            raise ModelError(f"The checkpoint {folder} cannot be loaded: {error}") from error
        self.spec = self.describe(self._linear.levels, shape.frames)
        self.concepts = ConceptReader(self._linear.heads, self._linear.roles)
        held = _is_of_tensors(shape)
        self._on_cpu: CpuNetwork | None = None
        if device == "cpu" and held:
            self._on_cpu = CpuNetwork(self._tower, "The tower of texts", f"{self.spec.fingerprint} texts")
        self._graphed: GraphedFunction | None = None
        if cuda_graphs:
            from model.mcsan.text_tower import with_cuda_graphs

            self.sentences.use_graphs()
            self._graphed = with_cuda_graphs(self.model.text) if held else None

    @staticmethod
    def loads_late(config: Mapping[str, Any]) -> bool:
        """Where MiniLM reads the texts, a torchvision network sees the frames, and the tower is one of tensors."""
        try:
            own = (TWO_TOWER_MODEL, OTHER_MODEL)
            apart = "two_tower" not in (config["backbone"] or {}) and not config["sentence_encoder"].startswith(own)
            return apart and BASELINE not in config and _is_of_tensors(from_json(ModelConfig, config["model"]))
        except (KeyError, TypeError, InputError):
            return False  # loading it says what is wrong

    @cached_property
    def model(self) -> MCSAN:
        """The network itself, on the device."""
        model: MCSAN = self.checkpoint.model
        return model

    def _tower(self) -> TensorTower:
        from model.mcsan.text_tower import TensorTower

        return TensorTower(self.model.text)

    def video_vectors(self, features: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        vectors: Mapping[str, Tensor] = self.model.video(features, mask)
        return vectors

    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        if self._on_cpu is not None:
            return dict(zip(LEVEL_NAMES, self._on_cpu.arrays(*padded(features)), strict=True))
        import torch

        from model.mcsan.layers import unit

        text = collate(features)
        with torch.inference_mode():
            if self._graphed is None:
                return self.numpy(unit(self.model.text(text.to(self.device))))
            rows = self._graphed(text.tensors(), torch.device(self.device))
            return self.numpy(unit(dict(zip(LEVEL_NAMES, rows, strict=True))))

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return self.concepts.unknown(candidates)

    def text_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": self._linear.fold_texts(vectors["global"])}

    def clip_queries(self, vectors: Vectors) -> Vectors:
        return {**vectors, "global": self._linear.fold_videos(vectors["global"])}


def _is_of_tensors(config: ModelConfig) -> bool:
    """Whether CUDA graphs and OpenVINO can hold the tower of texts: an embedding of words looks them up on the CPU,
    and a GRU asks it for lengths."""
    return config.words == "sentence" and config.node_words == "linear" and not config.alike
