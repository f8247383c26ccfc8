"""Any trained model behind the encoder protocol: how its checkpoint is checked, and the way of a text.

On a CPU the checkpoint is loaded only where a network is needed that `model.cpu_backend` has not kept: a process that
answers questions needs no PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes, CaptionParser, ParsedCaption, readable
from model.language.sentence_encoder import TextStates, TokenBatch
from model.levels import LevelSpec, Vectors
from model.mcsan.checkpoint_identity import fingerprint_of, read_config
from model.mcsan.text_features import TextFeatures, TextFeaturizer
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER
from model.vision.recorded_sentences import recorded_sentences
from quartet.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from model.mcsan.checkpoint_files import Checkpoint
    from model.vision.frame_networks import FrameNetwork


class CheckpointEncoder(ABC):
    """What the `StagedEncoder` (`model/encoder.py`) of every trained model does.

    load  reads the checkpoint in `folder`
    Raises ModelError if the checkpoint was trained with another parser or sentence encoder than the ones here, and for
    one that has no backbone to read videos.
    """

    spec: EncoderSpec
    device: str

    def __init__(
        self,
        folder: Path,
        load: Callable[[], Checkpoint[Any]],
        device: str = "cpu",
        parser: CaptionParser | None = None,
        models: Path = MODELS_FOLDER,
        precision: Precision = "float32",
    ) -> None:
        from model.language.spacy_parser import recorded_parser

        self.device = device
        self.config = config = read_config(folder)
        self._load, self._precision = load, precision
        if device != "cpu" or not self.loads_late(config):
            self.checkpoint  # noqa: B018  loads it now
        try:
            trained_with, sentences = config["parser"], config["sentence_encoder"]
            if config["backbone"] is None:
                raise ModelError(
                    f"The checkpoint {folder} was trained on given frame features: it has no backbone to read videos."
                )
        except KeyError as error:
            raise ModelError(f"The checkpoint {folder} cannot be loaded: {error}") from error
        parser = parser or recorded_parser(trained_with, folder)
        if parser.name != trained_with:
            raise ModelError(
                f"The checkpoint {folder} was trained with the parser {trained_with}, but {parser.name} is "
                "installed here."
            )
        self.sentences = recorded_sentences(sentences, lambda: self.backbone, device, folder, precision, models)
        self.featurizer = TextFeaturizer(parser, self.sentences)

    @staticmethod
    def loads_late(config: Mapping[str, Any]) -> bool:
        """Whether texts of a checkpoint with this configuration can be encoded without loading it, on a CPU."""
        return False

    @cached_property
    def checkpoint(self) -> Checkpoint[Any]:
        """The loaded checkpoint, on the device."""
        checkpoint = self._load()
        checkpoint.model.to(self.device)
        return checkpoint

    @cached_property
    def backbone(self) -> FrameNetwork:
        """The network that sees the frames, on the device."""
        backbone = self.checkpoint.backbone
        assert backbone is not None, "a checkpoint without one was refused"
        backbone.to(self.device).freeze(f"{self.checkpoint.fingerprint} backbone", self._precision)
        return backbone

    def describe(self, levels: tuple[LevelSpec, ...], frames: int) -> EncoderSpec:
        """The spec of a model with these levels that looks at so many frames of a clip."""
        own = self.config
        return EncoderSpec(own["name"], fingerprint_of(own), levels, frames, own["note"])

    @abstractmethod
    def video_vectors(self, features: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        """Frame features (B, N, D_v) and the mask (B, N) of real frames -> (B, d_l) by level, of any length."""

    @abstractmethod
    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        """Gallery vectors of texts that are already featurised: {level: (B, d_l)}."""

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        from model.device import in_one_batch_or_apart

        return in_one_batch_or_apart(self._encode_clips, clips, self.device)

    def _encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        import torch

        from model.mcsan.layers import pad_features, unit

        with torch.inference_mode():
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
