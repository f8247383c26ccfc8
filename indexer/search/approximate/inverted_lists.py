"""Inverted lists: which rows of a large segment are worth scoring, level by level.

A level's lists are a FAISS IVF index with 8-bit codes over the rows that have the level; its ids are row
numbers. A search takes from every level that counts the `depth` best rows of the `nprobe` nearest lists, and
scores their union on all levels, so that no partial score is ever compared with a full one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.search.question import Question
from indexer.search.threads import threads
from indexer.search.vectors.gallery import Gallery
from model.levels import FloatArray, LevelSpec


@dataclass(frozen=True)
class Tuning:
    """How a gallery's lists are searched, how good that is, and what they were trained on.

    nprobe   lists looked into per level; depth: rows taken per level
    target   recall@10 asked for; recall: reached with `queries` questions
    by       what these were: items of the other gallery ("clips", "captions"), or, empty, of the gallery itself
    rows     how many the lists held when they were trained
    errors   per level, the most that an inner product with a unit query is off by the 8-bit codes
    fit      per level, the mean cosine between a row and the centroid of its list, when they were trained
    since    per level, the same for the rows that came later, `later` in number
    """

    type: str
    nprobe: int
    depth: int
    target: float
    recall: float
    queries: int
    rows: int
    errors: dict[str, float]
    fit: dict[str, float]
    since: dict[str, float] = field(default_factory=dict)
    later: int = 0
    by: str = ""

    @property
    def retraining_due(self) -> str | None:
        """Why the lists should be trained again, as a sentence; None if they need not be."""
        if self.recall < self.target:
            return f"The lists reach a recall of {self.recall:.3f} and {self.target:g} was asked for."
        if self.later > self.rows:
            return f"{self.later} items came since the lists were trained on {self.rows}."
        for level, fit in self.since.items():
            if self.later >= self.rows / 100 and 1 - fit > _DRIFT * (1 - self.fit[level]):
                return (
                    f"New items lie far from the lists at level {level}: "
                    f"a mean cosine of {fit:.2f}, not {self.fit[level]:.2f}."
                )
        return None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        way = f"{self.type}, {self.nprobe} lists and {self.depth} items per level"
        return f"{way}: recall@10 {self.recall:.3f} for {self.by or 'its own items'} as questions"


_DRIFT = 1.25
"""Retraining is due when new rows are by this factor farther from their centroids than the old ones were."""


@dataclass(frozen=True)
class Candidates:
    """Rows, ascending, to score; bound: the most that any other row could score that the lists might have given."""

    rows: npt.NDArray[np.int64]
    bound: float | None


def candidates(
    gallery: Gallery, question: Question, tuning: Tuning, allowed: npt.NDArray[np.bool_] | None
) -> list[Candidates]:
    """Rows for every query out of the lists of the first segment.

    allowed  bool (N,): rows that may be among them; None for all
    """
    import faiss

    first = gallery.segments[0]
    options: dict[str, Any] = {"nprobe": tuning.nprobe}
    if allowed is not None:
        bits = np.packbits(allowed[: len(first)], bitorder="little")
        options["sel"] = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
    parameters = faiss.SearchParametersIVF(**options)

    def look_up(used: tuple[int, LevelSpec]) -> tuple[npt.NDArray[np.intp], FloatArray, npt.NDArray[np.int64]]:
        column, spec = used
        asking = np.flatnonzero(question.weights[:, column])
        queries = question.rows[spec.name][asking]
        return asking, *first.lists[spec.name].search(queries, tuning.depth, params=parameters)

    found: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(len(question))]
    lowest: list[dict[int, float]] = [{} for _ in range(len(question))]
    # FAISS gives every core its share of a batch, but one query a single core: then its levels go side by side.
    answers = (threads().map if len(question) == 1 else map)(look_up, question.used)
    for (column, spec), (asking, scores, rows) in zip(question.used, answers, strict=True):
        lengths = np.linalg.norm(question.rows[spec.name][asking].astype(np.float64), axis=1)
        for i, own_scores, own_rows, length in zip(asking, scores, rows, lengths, strict=True):
            found[i].append(own_rows[own_rows >= 0])
            if own_rows[-1] >= 0:
                lowest[i][column] = float(own_scores[-1]) + tuning.errors[spec.name] * float(length)
    return [
        Candidates(np.unique(np.concatenate(rows)), _threshold(gallery, one, last))
        for one, rows, last in zip(question, found, lowest, strict=True)
    ]


def _threshold(gallery: Gallery, question: Question, lowest: Mapping[int, float]) -> float | None:
    """What a row could at most score that none of the lists gave (the threshold of Fagin, Lotem and Naor, 2001).

    Such a row scores at each of its levels at most what the last row of that level's list did. Levels that
    the row lacks drop out, so the worst of the combinations of levels that exist counts. A list that has ended
    has given all of its rows: none is left that has this level.
    """
    ceilings = []
    for pattern in gallery.patterns:
        columns = [column for column, _ in question.used if pattern[column]]
        if columns and all(column in lowest for column in columns):
            weights = question.weights[0, columns]
            tops = [question.specs[c].activate(np.array(lowest[c])) for c in columns]
            ceilings.append(float(weights @ np.array(tops) / weights.sum()))
    return max(ceilings, default=None)


def tuning_of(gallery: Gallery) -> Tuning | None:
    """How the lists of a gallery are searched; None where it has none."""
    return Tuning(**gallery.tuning) if gallery.tuning else None
