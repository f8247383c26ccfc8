"""Which words a clip shows, by linear heads of a trained model on its vectors, without a network: equations (24-26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from model.language.parsed_caption import Attributes, unknown_words, with_relations
from model.levels import FloatArray, Vectors

TRAINED = {"entity": (-1.1, 0.0), "action": (-1.75, 1.0)}
FITTED = {"entity": (-5.0, 0.0), "action": (-7.5, 1.0)}
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


@dataclass(frozen=True)
class RoleHead:
    """Who does something to whom in a clip, from the ordered pairs of its relation vector.

    nouns    where each noun stands in `kinds` (n, kinds): of which kind of thing it is, as shares
    verbs    where each verb, with its preposition, stands in `does` (m, values): what tells who does it
    A relation is read if both of its nouns are such things and its verb is known.
    """

    nouns: Mapping[str, int]
    kinds: FloatArray
    verbs: Mapping[str, int]
    does: FloatArray

    def exchanged(self, relation: str, nouns: Sequence[str], clip: FloatArray) -> str | None:
        """The "who does" of a relation if a clip, by its relation vector, shows the reverse; None also if it is unread.

        nouns  of the same text
        """
        parts = ordered(relation, nouns)
        if parts is None or not (parts[0] in self.nouns and parts[2] in self.nouns and parts[1] in self.verbs):
            return None
        who, whom = (self.kinds[self.nouns[noun]] for noun in (parts[0], parts[2]))
        if min(who.sum(), whom.sum()) < 0.5:
            return None  # a place, say
        pairs = clip[-self.kinds.shape[1] * self.does.shape[1] :].reshape(-1, self.does.shape[1])
        if (who - whom) @ pairs @ self.does[self.verbs[parts[1]]] > 0:
            return None
        return f"{parts[0]} {parts[1].split()[0]}"


def ordered(relation: str, nouns: Sequence[str]) -> tuple[str, str, str] | None:
    """A relation as its first noun, its verb, and its last noun; None if it does not begin and end with two nouns."""
    first = [noun for noun in nouns if relation.startswith(f"{noun} ")]
    last = [noun for noun in nouns if relation.endswith(f" {noun}")]
    if not first or not last:
        return None
    who, whom = max(first, key=len), max(last, key=len)
    verb = relation[len(who) : len(relation) - len(whom)].strip()
    return (who, verb, whom) if verb and who != whom else None


class ConceptReader:
    """`Encoder.concepts` of a model with such heads, by level. Can be pickled, and called from any thread."""

    def __init__(self, heads: Mapping[str, ConceptHead], roles: RoleHead | None = None) -> None:
        self._heads = dict(heads)
        self._roles = roles

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
            self._directed(
                with_relations(candidate, shown.get("entity", []), shown.get("action", [])), candidate, vectors, row
            )
            for row, (candidate, shown) in enumerate(zip(candidates, found, strict=True))
        ]

    def _directed(self, shown: Attributes, asked: Attributes, vectors: Vectors, row: int) -> Attributes:
        """The same without relations whose roles the clip in this row exchanges, and what else they say of who does it:
        if not the dog chases the cat, the dog does not chase in the park."""
        if self._roles is None or not shown.relation:
            return shown
        clip = vectors["relation"][row]
        wrong = [self._roles.exchanged(relation, asked.entity, clip) for relation in asked.relation]
        false = tuple(f"{own} " for own in wrong if own)
        return replace(shown, relation=[own for own in shown.relation if not f"{own} ".startswith(false)])

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        """`Encoder.unknown`: words that no head has."""
        known = {level: head.rows for level, head in self._heads.items()}
        return [unknown_words(candidate, known) for candidate in candidates]
