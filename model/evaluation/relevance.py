"""Protocols: which texts take part in an evaluation, and which videos each of them describes.

Captions of a test split repeat: MSR-VTT's 59,800 hold 51,582 distinct strings. Two readings are common:

- per caption: every caption row is a query of its own with one right video. A caption that two videos share is two
  queries, and each counts the other's video as wrong.
- per distinct caption: a string that repeats is one query, and every video that it was written for is right.

Both need the same thing, a list of pairs (text, video) that belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quartet.errors import InputError

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Relevance:
    """The texts of a protocol and the pairs that belong together.

    rows   (T,) rows of the score matrix that take part, ascending
    text   (P,) ascending, video (P,): the text in row rows[text[p]] describes video[p]; no pair comes twice
    texts, videos  the shape of the score matrix
    """

    rows: Index
    text: Index
    video: Index
    texts: int
    videos: int


def per_caption(owner: Index, videos: int) -> Relevance:
    """Every caption row with the one video that it came with: text i describes video owner[i]."""
    rows = np.arange(len(owner))
    return Relevance(rows, rows, owner, len(owner), videos)


def per_distinct_caption(owner: Index, videos: int, captions: Sequence[str]) -> Relevance:
    """Every distinct string, scored by its first row, with all the videos that it came with.

    Raises InputError unless there is one caption for each entry of `owner`.
    """
    if len(captions) != len(owner):
        raise InputError(f"There are {len(captions)} captions for {len(owner)} rows of scores: give one per row.")
    numbers: dict[str, int] = {}
    text = np.array([numbers.setdefault(caption, len(numbers)) for caption in captions], np.int64)
    rows = np.unique(text, return_index=True)[1]  # numbered as they first appear, so ascending
    pairs = np.unique(np.stack([text, owner], axis=1), axis=0)
    return Relevance(rows, pairs[:, 0], pairs[:, 1], len(owner), videos)
