"""Bags of words over the training captions' vocabulary, for the models that read one in addition to word vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from model.mcsan.text_features import TextFeatures, collate
from model.mcsan.text_tower import TextTensors

MIN_COUNT = 5
"""Rarer words are left out, as in the releases of W2VV++ and Dual Encoding."""


@dataclass
class BagTensors(TextTensors):
    """Padded captions with their bags: bag (B, V) float32, how often each known word occurs."""

    bag: Tensor


class BagOfWords:
    """The words, in lower case, that occur at least `min_count` times in `captions`."""

    def __init__(self, captions: Iterable[TextFeatures], min_count: int = MIN_COUNT) -> None:
        counts = Counter(word.lower() for caption in captions for word in caption.parse.words)
        known = sorted(word for word, count in counts.items() if count >= min_count)
        self.index = {word: i for i, word in enumerate(known)}

    @classmethod
    def of_words(cls, words: Iterable[str]) -> Self:
        """The vocabulary of another bag: its words, in the order of its columns."""
        bag = cls(())
        bag.index = {word: i for i, word in enumerate(words)}
        return bag

    @property
    def size(self) -> int:
        """V: 1 for a vocabulary without words, whose only column stays 0."""
        return max(1, len(self.index))

    def collate(self, batch: Sequence[TextFeatures]) -> BagTensors:
        bag = torch.zeros(len(batch), self.size)
        for row, caption in enumerate(batch):
            for word in caption.parse.words:
                column = self.index.get(word.lower())
                if column is not None:
                    bag[row, column] += 1
        padded = collate(batch)
        return BagTensors(**{f.name: getattr(padded, f.name) for f in fields(padded)}, bag=bag)
