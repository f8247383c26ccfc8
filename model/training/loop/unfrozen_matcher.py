"""Training MCSAN together with the text tower of the two-tower model that it stands on.

The tower's sentence vector feeds the global level, its token states the other three, and gradients reach the tower
through all four. The tower that sees frames stays as it is: its features were made before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from model.baselines.baseline import Encoded
from model.language.parsed_caption import ParsedCaption
from model.language.sentence_encoder import encode_captions, word_pieces
from model.mcsan.config import TrainConfig
from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors
from model.training.data.dataset import VideoText
from model.training.data.splits import spread
from model.training.fitting.centre_fit import MAX_ROWS
from model.training.loop.matcher import Measured, decayed
from model.training.loop.mcsan_matcher import MCSANMatcher
from model.two_tower.sentence_encoder import TwoTowerSentences

BATCH_SIZE = 32
"""Captions in one pass of the text tower. They are of similar length, which wastes little padding."""


@dataclass
class TokenTensors(TextTensors):
    """Padded captions with what the text tower reads of them.

    inputs   its input by name, (B, L) each
    pieces   (B, M, L) bool, which tokens each word has
    lengths  how many tokens each caption has
    """

    inputs: dict[str, Tensor]
    pieces: Tensor
    lengths: list[int]

    def to(self, device: torch.device | str) -> Self:
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return replace(super().to(device), inputs=inputs)


@dataclass(frozen=True)
class _Tokens:
    """One caption for the text tower: its input by name, (L,) each, and which tokens each word has, (M, L)."""

    inputs: Mapping[str, npt.NDArray[np.int32]]
    pieces: npt.NDArray[np.bool_]


class UnfrozenMatcher(MCSANMatcher):
    """Trains the model of `frozen` and, in place, the text tower of `sentences`, at `rate` times the learning rate."""

    def __init__(self, frozen: MCSANMatcher, sentences: TwoTowerSentences, rate: float) -> None:
        super().__init__(frozen.model, frozen.config, frozen.fit_weights)
        self.text_tower = sentences.tower.text_tower.train()
        self._sentences = sentences
        self._rate = rate
        self._known: dict[str, _Tokens] = {}

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """The text tower by itself, and without decay: words that no caption has keep their vectors."""
        tower = {id(parameter) for parameter in self.text_tower.parameters()}
        trained = [p for p in self.parameters() if p.requires_grad]
        slow = [p for p in trained if id(p) in tower]
        return [
            *decayed([p for p in trained if id(p) not in tower]),
            {"params": slow, "lr": self._rate * config.learning_rate, "weight_decay": 0.0},
        ]

    def collate_text(self, texts: Sequence[TextFeatures]) -> TokenTensors:
        padded = collate(texts)
        captions = [self._tokens(text.parse) for text in texts]
        lengths = [caption.pieces.shape[1] for caption in captions]
        shape = len(captions), max(lengths)
        padding = {"input_ids": self._sentences.tower.network.padding_id}
        inputs = {name: torch.full(shape, padding.get(name, 0)) for name in captions[0].inputs}
        pieces = torch.zeros(*padded.word_mask.shape, shape[1], dtype=torch.bool)
        for i, caption in enumerate(captions):
            words, length = caption.pieces.shape
            pieces[i, :words, :length] = torch.from_numpy(caption.pieces)
            for name, values in caption.inputs.items():
                inputs[name][i, :length] = torch.from_numpy(values)
        own = {field.name: getattr(padded, field.name) for field in fields(padded)}
        return TokenTensors(**own, inputs=inputs, pieces=pieces, lengths=lengths)

    def _tokens(self, caption: ParsedCaption) -> _Tokens:
        """A caption is tokenized once and by itself, so that it has no padding but what the model always reads."""
        if caption.text not in self._known:
            (batch,) = self._sentences.tokenize([caption.text])
            inputs = {name: value[0].numpy().astype(np.int32) for name, value in batch.tokens.items()}
            self._known[caption.text] = _Tokens(inputs, word_pieces(caption, batch.offsets[0]))
        return self._known[caption.text]

    def encode_text(self, text: TextTensors) -> Encoded:
        assert isinstance(text, TokenTensors)
        order = torch.tensor(text.lengths).argsort(stable=True)
        parts = [self._read(text, rows) for rows in order.split(BATCH_SIZE)]
        back = order.argsort().to(text.pieces.device)
        sentence, words = (torch.cat(part)[back] for part in zip(*parts, strict=True))
        return super().encode_text(replace(text, sentence=sentence, words=words))

    def _read(self, text: TokenTensors, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (b, d_s) of captions, the longest last, and (b, M, d_w) of their words: means of tokens."""
        longest = text.lengths[int(rows[-1])]
        rows = rows.to(text.pieces.device)
        sentence, states = self._sentences.vectors({name: value[rows, :longest] for name, value in text.inputs.items()})
        pieces = text.pieces[rows, :, :longest]
        words = pieces.to(states.dtype) @ states / pieces.sum(2, keepdim=True).clamp(min=1)  # padding has no token
        return normalize(sentence.float(), dim=-1), words.float()

    def finish(self, train: VideoText) -> bool:
        rows = spread(len(train.texts), MAX_ROWS)  # reading captions takes long, and these are all that is looked at
        texts = replace(train, texts=[train.texts[row] for row in rows], owner=train.owner[rows])
        return self.model.config.centred and super().finish(self._read_again(texts))

    def measure(self, data: VideoText, fit: bool = False) -> Measured:
        was_training = self.training
        self.eval()
        measured = super().measure(self._read_again(data), fit)
        self.train(was_training)
        return measured

    def _read_again(self, data: VideoText) -> VideoText:
        """With captions as the text tower reads them now, in the way in which queries will be."""
        vectors = encode_captions(self._sentences, [text.parse for text in data.texts])
        texts = [TextFeatures(text.parse, one) for text, one in zip(data.texts, vectors, strict=True)]
        return replace(data, texts=texts)
