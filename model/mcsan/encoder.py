"""A trained MCSAN checkpoint behind the encoder protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from model.cuda_graphs import GraphedFunction
from model.device import in_one_batch_or_apart
from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes, CaptionParser, ParsedCaption, readable
from model.language.sentence_encoder import TextStates, TokenBatch
from model.levels import LEVEL_NAMES, Vectors
from model.mcsan.checkpoint import load_checkpoint
from model.mcsan.concept_heads import ConceptHead, ConceptReader
from model.mcsan.layers import pad_features, unit
from model.mcsan.text_features import TextFeatures, TextFeaturizer, collate
from model.mcsan.text_tower import with_cuda_graphs
from model.precision import Precision
from model.two_tower.prepared_models import MODELS_FOLDER
from model.vision.frame_networks import recorded_sentences
from quartet.errors import ModelError

CONCEPT_THRESHOLD = 0.25
"""A clip shows a concept of the query if the attribute head gives it at least this output.

Focal loss with alpha 0.25 and gamma 2 puts even odds at 0.40; a word of the query that found the clip is likelier
to be true than a word of the vocabulary at large, on which the head was trained. On 500 clips of the demo's test split
nouns of a clip's own captions are seen in 90% and verbs in 70% (at 0.3: 88% and 53%), those of other clips in 10%
and 7%.
"""


class McsanEncoder:
    """Encodes clips and texts with one checkpoint: a `StagedEncoder` (`model/encoder.py`).

    `cuda_graphs`: encode texts by CUDA graphs (`model/cuda_graphs.py`), for a device that is a GPU.
    `precision`: of the frozen networks on a CPU (`model/cpu_backend.py`); the towers are computed in float32.
    Raises ModelError if the checkpoint was trained with another parser or sentence encoder than the ones here.
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
        from model.language.spacy_parser import recorded_parser

        checkpoint = load_checkpoint(folder, models)
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
        self.model = checkpoint.model.to(device)
        self.backbone = checkpoint.backbone.to(device)
        self.backbone.freeze(f"{checkpoint.fingerprint} backbone", precision)
        sentences = recorded_sentences(checkpoint.sentence_encoder, self.backbone, device, folder, precision)
        self.featurizer = TextFeaturizer(parser, sentences)
        self._graphed: GraphedFunction | None = None
        if cuda_graphs:
            sentences.use_graphs()
            # An embedding of words looks them up on the CPU, which no graph can hold.
            self._graphed = with_cuda_graphs(self.model.text) if self.model.text.embedding is None else None
        self.spec = EncoderSpec(
            checkpoint.name,
            checkpoint.fingerprint,
            self.model.level_specs(),
            self.model.config.frames,
            checkpoint.note,
        )
        heads = {level: self._head(level, checkpoint.vocabularies[level]) for level in self.model.concept_levels}
        self.concepts = ConceptReader(heads, CONCEPT_THRESHOLD)

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        return in_one_batch_or_apart(self._encode_clips, clips, self.device)

    @torch.inference_mode()
    def _encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        features, mask = pad_features(self.backbone.features(clips))
        return self._numpy(unit(self.model.video(features.to(self.device), mask.to(self.device))))

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        return self.finish(self.parse(texts), self.forward(self.tokenize(texts)))

    def parse(self, texts: Sequence[str]) -> list[ParsedCaption]:
        return self.featurizer.parser.parse(list(texts))

    def tokenize(self, texts: Sequence[str]) -> list[TokenBatch]:
        return self.featurizer.sentences.tokenize([readable(text) for text in texts])

    def forward(self, tokens: Sequence[TokenBatch]) -> list[TextStates]:
        return self.featurizer.sentences.forward(tokens)

    def finish(self, parses: Sequence[ParsedCaption], states: Sequence[TextStates]) -> TextBatch:
        features = [TextFeatures(parse, own.of(parse)) for parse, own in zip(parses, states, strict=True)]
        return TextBatch(self.text_vectors(features), self._attributes(parses))

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        return self._attributes(self.parse(texts))

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        return self.concepts.unknown(candidates)

    @staticmethod
    def _attributes(parses: Sequence[ParsedCaption]) -> list[Attributes]:
        return [parse.attributes() for parse in parses]

    @torch.inference_mode()
    def text_vectors(self, features: Sequence[TextFeatures]) -> Vectors:
        """Gallery vectors of texts that are already featurised: {level: (B, d_l)}."""
        text = collate(features)
        if self._graphed is None:
            return self._numpy(unit(self.model.text(text.to(self.device))))
        rows = self._graphed(text.tensors(), torch.device(self.device))
        return self._numpy(unit(dict(zip(LEVEL_NAMES, rows, strict=True))))

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

    @staticmethod
    def _numpy(vectors: dict[str, torch.Tensor]) -> Vectors:
        return {name: vectors[name].float().cpu().numpy() for name in LEVEL_NAMES}
