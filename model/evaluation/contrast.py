"""Whether a level notices what a caption says: each caption against itself with exactly one thing changed.

A level is right where the caption's own video scores higher with the caption than with the change
(`model/language/caption_changes.py`); equal scores are not. Chance is a half, if the level sees the change at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from model.evaluation.relevance import Index
from model.evaluation.scores import LevelScores, Scores, ScoreSource
from model.language.caption_changes import KINDS, Change, changes
from model.language.parsed_caption import ParsedCaption
from model.levels import Vectors

_TEXTS = 512
"""Texts whose scores with all videos are held at a time."""


@dataclass(frozen=True)
class Noticed:
    """The share of changes that a score notices, and of how many; None of none."""

    share: float | None
    of: int


Contrast = Mapping[str, Mapping[str, Noticed]]
"""What every score notices, by kind of change and name of the score."""


def measure_contrast(
    scores: LevelScores, owner: Index, captions: Sequence[ParsedCaption], encode: Callable[[Sequence[str]], Vectors]
) -> Contrast:
    """Change the captions, make query vectors of the changes with `encode`, and count who notices.

    captions  parsed, those that `scores` are of; caption i was written for video owner[i]
    """
    changed = changes(captions, owner)
    if not changed:
        return {}
    altered = replace(scores, text_queries=encode([change.text for change in changed]))
    plain = own_scores(scores, owner)
    return noticed(changed, plain, own_scores(altered, owner[[change.caption for change in changed]]))


def own_scores(source: ScoreSource, videos: npt.NDArray[np.int64]) -> dict[str, Scores]:
    """By name the score of every text with its own video, (texts,): text i with videos[i]."""
    found: dict[str, list[Scores]] = {name: [] for name in source.names}
    for start in range(0, len(videos), _TEXTS):
        own = videos[start : start + _TEXTS]
        for name, matrix in source.block(start, start + len(own)).items():
            found[name].append(matrix[np.arange(len(own)), own])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def noticed(changed: Sequence[Change], plain: Mapping[str, Scores], altered: Mapping[str, Scores]) -> Contrast:
    """What is noticed of changes that were made.

    plain    scores of the captions with their own videos, by name; altered: those of `changed` with the same videos
    A change that a score cannot be asked about, because one of both texts lacks the level, is left out of its count.
    """
    found: dict[str, dict[str, Noticed]] = {}
    for kind in KINDS:
        rows = [i for i, change in enumerate(changed) if change.kind == kind]
        captions = [changed[i].caption for i in rows]
        found[kind] = {}
        for name in plain:
            right, wrong = plain[name][captions], altered[name][rows]
            asked = np.isfinite(right) & np.isfinite(wrong)
            share = float((right > wrong)[asked].mean()) if asked.any() else None
            found[kind][name] = Noticed(share, int(asked.sum()))
    return found
