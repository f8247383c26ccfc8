"""Where score matrices come from: any model that can score texts against videos, a block of texts at a time.

A whole matrix of MSR-VTT's test split (59,800 captions, 2,990 videos) takes 715 MB, and there is one for the fused
score and one for each level: metrics read blocks of rows and never hold more than one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.levels import LevelSpec, Vectors, resolve_weights
from quartet.errors import InputError

Scores = npt.NDArray[np.float32]
"""(texts, videos): higher is more alike. A row of -inf: the text has nothing to be scored by."""

FUSED = "fused"
"""The name of the score that ranks; the other names are of levels alone."""

_BLOCK_SCORES = 6 << 20
"""Scores of one matrix in a block: 25 MB. A validation split such as MSR-VTT's is one block."""


class ScoreSource(Protocol):
    """Score matrices of one model, by name: "fused", and each level alone where a model has levels."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the matrices, "fused" first."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """How many texts and how many videos."""
        ...

    def block(self, start: int, stop: int) -> dict[str, Scores]:
        """Scores of the texts [start, stop) against all videos, by name. The caller must not write into them."""
        ...


@dataclass(frozen=True)
class GivenScores:
    """Matrices that exist: arrays, memory maps, HDF5 datasets, whatever gives (rows, videos) when sliced.

    Raises InputError if there is none called "fused", or if their shapes differ.
    """

    matrices: Mapping[str, Scores]

    def __post_init__(self) -> None:
        shapes = {tuple(matrix.shape) for matrix in self.matrices.values()}
        if FUSED not in self.matrices or len(shapes) != 1:
            given = ", ".join(f"{name} {tuple(matrix.shape)}" for name, matrix in self.matrices.items())
            raise InputError(f'Score matrices need one called "{FUSED}" and one shape for all, found: {given}.')

    @property
    def names(self) -> Sequence[str]:
        return (FUSED, *(name for name in self.matrices if name != FUSED))

    @property
    def shape(self) -> tuple[int, int]:
        texts, videos = self.matrices[FUSED].shape
        return texts, videos

    def block(self, start: int, stop: int) -> dict[str, Scores]:
        return {name: np.asarray(self.matrices[name][start:stop], np.float32) for name in self.names}


@dataclass(frozen=True)
class LevelScores:
    """Scores of a model with levels: activated inner products and their weighted mean.

    text_queries  query vectors (texts, d_l) by level, the head already folded in
    clips         gallery vectors (clips, d_l) by level, those of one video in a row
    counts        (videos,) clips of each video, at least 1; None: one each. A video scores as its best clip does
    ablations     also score all levels without one, by the name "without LEVEL"
    """

    specs: Sequence[LevelSpec]
    text_queries: Vectors
    clips: Vectors
    counts: npt.NDArray[np.int64] | None = None
    ablations: bool = False

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    @property
    def names(self) -> Sequence[str]:
        return (FUSED, *self.levels, *self._fusions())

    @property
    def shape(self) -> tuple[int, int]:
        first = self.levels[0]
        videos = len(self.clips[first]) if self.counts is None else len(self.counts)
        return len(self.text_queries[first]), videos

    def block(self, start: int, stop: int) -> dict[str, Scores]:
        if self.counts is None:
            return self._clip_matrices(start, stop)
        firsts = np.cumsum(self.counts) - self.counts
        # Many clips a video make matrices of clips that are far wider than those of videos: fewer rows at a time.
        parts = [
            {n: np.maximum.reduceat(m, firsts, axis=1) for n, m in self._clip_matrices(start + a, start + b).items()}
            for a, b in block_bounds((stop - start, int(self.counts.sum())))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.names}

    def clip_scores(self, start: int, stop: int) -> tuple[dict[str, Scores], dict[str, npt.NDArray[np.bool_]]]:
        """Activated scores (texts, clips) by level, and which texts (texts, 1) have the level at all."""
        queries = {name: self.text_queries[name][start:stop] for name in self.levels}
        present = {name: np.asarray(queries[name].any(axis=1, keepdims=True)) for name in self.levels}
        scores = {s.name: s.activate(queries[s.name] @ self.clips[s.name].T).astype(np.float32) for s in self.specs}
        return scores, present

    def _clip_matrices(self, start: int, stop: int) -> dict[str, Scores]:
        """As `block`, with clips for columns."""
        scores, present = self.clip_scores(start, stop)
        matrices = {FUSED: fuse(self.specs, scores, present)}
        for name in self.levels:
            matrices[name] = np.where(present[name], scores[name], np.float32(-np.inf))
        for name, weights in self._fusions().items():
            matrices[name] = fuse(self.specs, scores, present, weights)
        return matrices

    def _fusions(self) -> dict[str, dict[str, float]]:
        """The weights without each level, by name, where a level is left that weighs something."""
        used = [spec.name for spec in self.specs if spec.weight]
        if not self.ablations or len(used) < 2:
            return {}
        return {f"without {name}": resolve_weights(self.specs, {name: 0.0}) for name in used}


def fuse(
    specs: Sequence[LevelSpec],
    scores: Mapping[str, Scores],
    present: Mapping[str, npt.NDArray[np.bool_]],
    weights: Mapping[str, float] | None = None,
) -> Scores:
    """The weighted mean over the levels that each text has; -inf for a text that is left without any."""
    parts = normalised_weights(specs, present, weights)
    fused = sum(parts[spec.name] * scores[spec.name] for spec in specs)
    any_left = sum(parts.values()) > 0
    return np.where(any_left, fused, -np.inf).astype(np.float32)


def normalised_weights(
    specs: Sequence[LevelSpec],
    present: Mapping[str, npt.NDArray[np.bool_]],
    weights: Mapping[str, float] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Weight (texts, 1) of every level in the mean of each text: they sum to 1, or to 0 where none is left."""
    given = resolve_weights(specs, weights)
    parts = {name: np.float32(given[name]) * present[name] for name in given}
    total = sum(parts.values())
    return {name: np.divide(part, total, out=np.zeros_like(part), where=total > 0) for name, part in parts.items()}


def block_bounds(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows [start, stop) of each block of a matrix of this shape."""
    texts, videos = shape
    rows = max(1, _BLOCK_SCORES // max(1, videos))
    return [(start, min(start + rows, texts)) for start in range(0, texts, rows)]
