"""The text tower of a two-tower model as a sentence encoder: what a caption is to training on top of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from model.language.sentence_encoder import TWO_TOWER_MODEL, TextStates, TokenBatch, by_length, text_states
from model.levels import FloatArray
from model.two_tower.towers import TEXTS, TwoTower
from model.two_tower.transformers_network import TransformersNetwork
from quartet.errors import ModelError


class TwoTowerSentences:
    """Sentence and word vectors of captions, in the space of the frames. See `SentenceEncoder`.

    The sentence vector is that of zero-shot search. Words are the token states behind it, through the same projection.
    Raises ModelError for a model whose tokens have no vectors in the common space.
    """

    def __init__(self, tower: TwoTower) -> None:
        if tower.network.tokenizer is None:
            raise _no_words(tower)
        self.tower = tower
        self.dim = tower.feature_dim
        self.name = f"{TWO_TOWER_MODEL}{tower.config.two_tower}@{tower.config.sha256[:12]}"

    def tokenize(self, texts: Sequence[str], batch_size: int = TEXTS) -> list[TokenBatch]:
        """Texts in batches of similar length, which waste no padding."""
        batches = []
        for places in by_length(texts, batch_size):
            chosen = [texts[i] for i in places]
            tokens = self.tower.tokens(chosen)
            batches.append(TokenBatch(places, tokens, self._offsets(chosen, tokens["input_ids"].shape[1])))
        return batches

    def forward(self, batches: Sequence[TokenBatch]) -> list[TextStates]:
        """States of what `tokenize` made, in the order of the texts that it was given."""
        return text_states(batches, self._forward)

    @torch.inference_mode()
    def _forward(self, batch: TokenBatch) -> tuple[FloatArray, ...]:
        sentences, states = self.tower.vectors(batch.tokens)
        return tuple(value.float().cpu().numpy() for value in (sentences, self._project(states)))

    def use_graphs(self) -> None:
        """From now on `forward` uses CUDA graphs."""
        self.tower.use_graphs()

    def vectors(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Vectors (B, dim) of sentences, of any length, and (B, L, dim) of their tokens, with gradients."""
        sentences, states = self.tower.read(tokens)
        return sentences, self._project(states)

    def _project(self, states: Tensor) -> Tensor:
        """Token states in the common space. Raises ModelError where the model has no way there."""
        projected = self.tower.network.project(states)
        if projected is None or projected.shape[-1] != self.dim:
            raise _no_words(self.tower)
        return projected

    def _offsets(self, texts: list[str], length: int) -> np.ndarray:
        """(B, length, 2) begin and end of each token in its text; (0, 0) for special tokens and padding."""
        tokenizer, network = self.tower.network.tokenizer, self.tower.network
        if isinstance(network, TransformersNetwork) and tokenizer.is_fast:
            tokens = network.encoded(texts, return_offsets_mapping=True)
            return np.array(tokens["offset_mapping"], dtype=np.int64)
        offsets = np.zeros((len(texts), length, 2), np.int64)
        for row, text in zip(offsets, texts, strict=True):
            # A tokenizer that does not tell where its tokens are: how many there are up to the end of each word.
            first, begin = 0, 0
            for end in [*(i for i, letter in enumerate(text) if letter == " "), len(text)]:
                last = min(len(tokenizer(text[:end], add_special_tokens=False, verbose=False)["input_ids"]), length)
                row[first:last] = begin, end
                first, begin = last, end
        return offsets


def _no_words(tower: TwoTower) -> ModelError:
    return ModelError(
        f"Words of captions have no vectors in the space of {tower.config.two_tower} "
        f"({tower.network.class_name}). Train on top of it with --preset plus, which reads captions with "
        "Sentence-BERT."
    )
