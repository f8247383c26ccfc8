"""Which words a clip shows, by linear heads of a trained model on its vectors, without a network: equations (24-26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.language.parsed_caption import Attributes, unknown_words, with_relations
from model.levels import FloatArray, Vectors

TRAINED = {"entity": (-1.1, 0.0), "action": (-1.75, 1.0)}
FITTED = {"entity": (-4.5, 0.0), "action": (-6.0, 1.0)}
"""(least evidence, rivalry) of a level's heads: those that are trained with the model, and those fitted after it.

The evidence for a word is its log odds plus rivalry times their distance from those of the clip's likeliest word. Verbs
exclude each other more often than nouns do: a clip of something swinging also has likely odds of spinning. Chosen on
the 500 validation clips of the demo (docs/results.md).
"""


@dataclass(frozen=True)
class ConceptHead:
    """One level's vocabulary of K words: where each stands in `weight` (K, d) and `bias` (K,).

    reads            the levels whose vectors it reads, side by side
    least, rivalry   the evidence that a word needs: see FITTED
    """

    rows: Mapping[str, int]
    weight: FloatArray
    bias: FloatArray
    reads: tuple[str, ...]
    least: float
    rivalry: float

    def shown(self, words: Sequence[str], vectors: Vectors) -> npt.NDArray[np.bool_]:
        """(B, n): whether each of B clips shows each of n words of the vocabulary."""
        logits = np.concatenate([vectors[name] for name in self.reads], axis=1) @ self.weight.T + self.bias
        own = logits[:, [self.rows[word] for word in words]]
        found: npt.NDArray[np.bool_] = own + self.rivalry * (own - logits.max(axis=1, keepdims=True)) >= self.least
        return found


class ConceptReader:
    """`Encoder.concepts` of a model with such heads, by level. Can be pickled, and called from any thread."""

    def __init__(self, heads: Mapping[str, ConceptHead]) -> None:
        self._heads = dict(heads)

    def __call__(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        found: list[dict[str, list[str]]] = [{} for _ in candidates]
        for level, head in self._heads.items():
            asked = [[word for word in candidate.of(level) if word in head.rows] for candidate in candidates]
            words = list(dict.fromkeys(word for own in asked for word in own))
            places = {word: i for i, word in enumerate(words)}
            if words:
                for own, row, levels in zip(asked, head.shown(words, vectors), found, strict=True):
                    levels[level] = [word for word in own if row[places[word]]]
        return [
            with_relations(candidate, shown.get("entity", []), shown.get("action", []))
            for candidate, shown in zip(candidates, found, strict=True)
        ]

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        """`Encoder.unknown`: words that no head has."""
        known = {level: head.rows for level, head in self._heads.items()}
        return [unknown_words(candidate, known) for candidate in candidates]
