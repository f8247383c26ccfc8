"""Any trained model behind the encoder protocol: how its checkpoint is checked, and the way of a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.device import in_one_batch_or_apart
from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes, CaptionParser, ParsedCaption, readable
from model.language.sentence_encoder import TextStates, TokenBatch
from model.levels import LevelSpec, Vectors
from model.mcsan.checkpoint_files import Checkpoint
from model.mcsan.layers import pad_features, unit
from model.mcsan.text_features import TextFeatures, TextFeaturizer
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER
from model.vision.frame_networks import recorded_sentences
from quartet.errors import ModelError


class CheckpointEncoder(ABC):
    """What the `StagedEncoder` (`model/encoder.py`) of every trained model does.

    Raises ModelError if the checkpoint was trained with another parser or sentence encoder than the ones here, and for
    one that has no backbone to read videos.
    """

    spec: EncoderSpec
    device: str

    def __init__(
        self,
        checkpoint: Checkpoint[Any],
        folder: Path,
        device: str = "cpu",
        parser: CaptionParser | None = None,
        models: Path = MODELS_FOLDER,
        precision: Precision = "float32",
    ) -> None:
        from model.language.spacy_parser import recorded_parser

        if checkpoint.backbone is None:
            raise ModelError(
                f"The checkpoint {folder} was trained on given frame features: it has no backbone to read videos."
            )
        parser = parser or recorded_parser(checkpoint.parser, folder)
        if parser.name != checkpoint.parser:
            raise ModelError(
                f"The checkpoint {folder} was trained with the parser {checkpoint.parser}, but {parser.name} is "
                "installed here."
            )
        self.device = device
        self.checkpoint = checkpoint
        checkpoint.model.to(device)
        self.backbone = checkpoint.backbone.to(device)
        self.backbone.freeze(f"{checkpoint.fingerprint} backbone", precision)
        self.sentences = recorded_sentences(
            checkpoint.sentence_encoder, self.backbone, device, folder, precision, models
        )
        self.featurizer = TextFeaturizer(parser, self.sentences)

    def describe(self, levels: tuple[LevelSpec, ...], frames: int) -> EncoderSpec:
        """The spec of a model with these levels that looks at so many frames of a clip."""
        own = self.checkpoint
        return EncoderSpec(own.name, own.fingerprint, levels, frames, own.note)

    @abstractmethod
    def video_vectors(self, features: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Frame features (B, N, D_v) and the mask (B, N) of real frames -> (B, d_l) by level, of any length."""

    @abstractmethod
    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        """Gallery vectors of texts that are already featurised: {level: (B, d_l)}."""

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return in_one_batch_or_apart(self._encode_clips, clips, self.device)

    @torch.inference_mode()
    def _encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        features, mask = pad_features(self.backbone.features(clips))
        return self.numpy(unit(self.video_vectors(features.to(self.device), mask.to(self.device))))

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        return self.finish(self.parse(texts), self.forward(self.tokenize(texts)))

    def parse(self, texts: Sequence[str]) -> list[ParsedCaption]:
        return self.featurizer.parser.parse(list(texts))

    def tokenize(self, texts: Sequence[str]) -> list[TokenBatch]:
        return self.sentences.tokenize([readable(text) for text in texts])

    def forward(self, tokens: Sequence[TokenBatch]) -> list[TextStates]:
        return self.sentences.forward(tokens)

    def finish(self, parses: Sequence[ParsedCaption], states: Sequence[TextStates]) -> TextBatch:
        features = [TextFeatures(parse, own.of(parse)) for parse, own in zip(parses, states, strict=True)]
        return TextBatch(self.text_vectors(features), self._attributes(parses))

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return self._attributes(self.parse(texts))

    @staticmethod
    def _attributes(parses: Sequence[ParsedCaption]) -> list[Attributes]:
        return [parse.attributes() for parse in parses]

    def numpy(self, vectors: Mapping[str, Tensor]) -> Vectors:
        return {level.name: vectors[level.name].float().cpu().numpy() for level in self.spec.levels}
