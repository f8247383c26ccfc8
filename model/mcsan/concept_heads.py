"""Which words a vector shows, by the linear concept heads of a trained model: equations (24-26), without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.language.parsed_caption import Attributes, unknown_words, with_relations
from model.levels import FloatArray, Vectors

VERB_EVIDENCE = -1.75
"""A clip shows a verb if its log odds plus their distance from those of the clip's likeliest verb are at least this.

Verbs exclude each other more often than nouns do: a clip of something swinging also has likely odds of spinning. Fitted
on the 500 validation clips of the demo, where precision and recall of verbs are then equal (docs/results.md).
"""


@dataclass(frozen=True)
class ConceptHead:
    """One level's vocabulary of K words: where each stands in `weight` (K, d) and `bias` (K,)."""

    rows: Mapping[str, int]
    weight: FloatArray
    bias: FloatArray

    def logits(self, words: Sequence[str], vectors: FloatArray) -> FloatArray:
        """(B, n) logits of n words of the vocabulary for vectors (B, d)."""
        rows = [self.rows[word] for word in words]
        return vectors @ self.weight[rows].T + self.bias[rows]

    def highest(self, vectors: FloatArray) -> FloatArray:
        """(B, 1): the logit of the likeliest word of the vocabulary."""
        found: FloatArray = (vectors @ self.weight.T + self.bias).max(axis=1, keepdims=True)
        return found


class ConceptReader:
    """`Encoder.concepts` of a model with such heads. Can be pickled, and called from any thread.

    heads      of the levels that have one
    threshold  a noun is shown if its head gives it at least this probability; for verbs see VERB_EVIDENCE
    """

    def __init__(self, heads: Mapping[str, ConceptHead], threshold: float) -> None:
        self._heads = dict(heads)
        self._least = float(np.log(threshold / (1 - threshold)))

    def __call__(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        found: list[dict[str, list[str]]] = [{} for _ in candidates]
        for level, head in self._heads.items():
            if level == "relation":
                # Few relations are in any vocabulary, but most of their nouns and verbs are.
                continue
            asked = [[word for word in candidate.of(level) if word in head.rows] for candidate in candidates]
            words = list(dict.fromkeys(word for own in asked for word in own))
            logits = head.logits(words, vectors[level])
            if level == "action" and words:
                shown = 2 * logits - head.highest(vectors[level]) >= VERB_EVIDENCE
            else:
                shown = logits >= self._least
            places = {word: i for i, word in enumerate(words)}
            for own, row, levels in zip(asked, shown, found, strict=True):
                levels[level] = [word for word in own if row[places[word]]]
        return [
            with_relations(candidate, shown.get("entity", []), shown.get("action", []))
            for candidate, shown in zip(candidates, found, strict=True)
        ]

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        """`Encoder.unknown`: words that no head has."""
        known = {level: head.rows for level, head in self._heads.items()}
        return [unknown_words(candidate, known) for candidate in candidates]
