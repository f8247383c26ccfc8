"""A trained MCSAN checkpoint behind the encoder protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from model.cuda_graphs import GraphedFunction
from model.language.parsed_caption import Attributes, CaptionParser
from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.checkpoint_encoder import CheckpointEncoder
from model.mcsan.concept_heads import ConceptHead, ConceptReader
from model.mcsan.layers import unit
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import with_cuda_graphs
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER

CONCEPT_THRESHOLD = 0.25
"""A clip shows a noun of the query if the attribute head gives it at least this output.

Focal loss with alpha 0.25 and gamma 2 puts even odds at 0.40; a word of the query that found the clip is likelier
to be true than a word of the vocabulary at large, on which the head was trained (docs/results.md).
"""


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
        checkpoint = load_checkpoint(folder, models)
        super().__init__(checkpoint, folder, device, parser, models, precision)
        self.model = checkpoint.model
        self._graphed: GraphedFunction | None = None
        if cuda_graphs:
            self.sentences.use_graphs()
            # An embedding of words looks them up on the CPU, a GRU asks it for lengths: no graph can hold either.
            config = self.model.config
            held = config.words == "sentence" and config.node_words == "linear" and not config.alike
            self._graphed = with_cuda_graphs(self.model.text) if held else None
        self.spec = self.describe(self.model.level_specs(), self.model.config.frames)
        heads = {level: self._head(level, checkpoint.vocabularies[level]) for level in self.model.concept_levels}
        self.concepts = ConceptReader(heads, CONCEPT_THRESHOLD)

    def video_vectors(self, features: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        vectors: Mapping[str, Tensor] = self.model.video(features, mask)
        return vectors

    @torch.inference_mode()
    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        text = collate(features)
        if self._graphed is None:
            return self.numpy(unit(self.model.text(text.to(self.device))))
        rows = self._graphed(text.tensors(), torch.device(self.device))
        return self.numpy(unit(dict(zip(LEVEL_NAMES, rows, strict=True))))

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return self.concepts.unknown(candidates)

    @torch.inference_mode()
    def text_queries(self, vectors: Vectors) -> Vectors:
        folded = self.model.head.fold_text(torch.from_numpy(vectors["global"]).to(self.device))
        return {**vectors, "global": folded.float().cpu().numpy()}

    @torch.inference_mode()
    def clip_queries(self, vectors: Vectors) -> Vectors:
        folded = self.model.head.fold_video(torch.from_numpy(vectors["global"]).to(self.device))
        return {**vectors, "global": folded.float().cpu().numpy()}

    @torch.inference_mode()
    def _head(self, level: str, words: Sequence[str]) -> ConceptHead:
        weight, bias = self.model.concept_head(level)
        rows = {word: i for i, word in enumerate(words)}
        return ConceptHead(rows, weight.float().cpu().numpy(), bias.float().cpu().numpy())
