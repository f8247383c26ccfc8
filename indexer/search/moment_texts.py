"""The level `words` where every clip is scored at once: what texts give the clips of a library at each moment.

`TextEvidence` says how a text raises a clip. Here all texts are scored by their compact rows, which leaves a bounded
error, so that only the clips within reach are raised in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from indexer.search.question import Floats
from indexer.search.result import Hit
from indexer.search.survivors import Positions
from indexer.search.text_evidence import TextEvidence
from model.levels import FloatArray


@dataclass(frozen=True)
class MomentTexts:
    """The texts for a question of M moments.

    evidence  the texts of the library
    queries   (M, d): each moment as a text; zeros for one without a sentence, which no text raises
    weight    of the level `words`, above 0
    pictures  (M,): the sum of the weights of the levels that each moment has; 0: its pictures do not count
    """

    evidence: TextEvidence
    queries: FloatArray
    weight: float
    pictures: Floats

    def limits(self, ids: Positions, low: Floats, high: Floats) -> tuple[Floats, Floats, bool]:
        """What clips (n,) score at least and most by pictures and texts, from what they do by pictures: (M, n) each.

        The last value says whether these limits are proven.
        """
        asked = self.queries.any(axis=1)
        low, high = low.copy(), high.copy()
        exact = True
        if asked.any():
            least, most, exact = self.evidence.activation_limits(self.queries[asked], ids)
            low[asked] = self._raised(low[asked], least, self.pictures[asked])
            high[asked] = self._raised(high[asked], most, self.pictures[asked])
        return low, high, exact

    def scores(self, moment: int, ids: Positions, scores: Floats) -> Floats:
        """What clips score by pictures and texts, from what they do by pictures, (n,), in float64."""
        query = self.queries[moment : moment + 1]
        if not query.any() or not len(ids):
            return scores
        activations = self.evidence.activations(query, ids)
        return self._raised(scores[None], activations[None], self.pictures[moment : moment + 1])[0]

    def raised(self, moment: int, hits: list[Hit]) -> list[Hit]:
        """Hits of a moment with the level `words`, in the same order."""
        query = self.queries[moment : moment + 1]
        best = self.evidence.best_texts(query, np.array([hit.id for hit in hits], np.int64)) if query.any() else {}
        others = float(self.pictures[moment])
        # Of pictures alone no text tells anything, and their score stands even where other moments have texts.
        return [
            self.evidence.raised(hit, best.get(hit.id), self.weight, others if query.any() else 1.0) for hit in hits
        ]

    def _raised(self, scores: Floats, activations: Floats, pictures: Floats) -> Floats:
        """(M, n): the larger of both where the pictures count, the text's alone where they do not."""
        others = pictures[:, None]
        with np.errstate(invalid="ignore"):  # of clips that cannot be hits, and those without a text
            mixed = (others * scores + self.weight * activations) / (others + self.weight)
        return np.where(others > 0, np.fmax(scores, mixed), np.where(scores > -np.inf, activations, -np.inf))
