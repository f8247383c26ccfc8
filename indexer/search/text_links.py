"""Which texts of a library belong to which of its clips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from indexer.search.question import Floats

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextLinks:
    """Which texts belong to which clips: M pairs."""

    texts: Ids
    clips: Ids

    @cached_property
    def distinct(self) -> Ids:
        """The texts, ascending, each once."""
        return np.unique(self.texts)

    @cached_property
    def _by_text(self) -> tuple[Ids, Ids]:
        """The order of the pairs by their texts, and the texts in it: a few are found without looking at all pairs."""
        order = np.argsort(self.texts, kind="stable")
        return order, self.texts[order]

    @cached_property
    def texts_of_clips(self) -> tuple[Ids, Ids, Ids]:
        """The clips, ascending, each once; where the texts of each begin; and those, as places in `distinct`."""
        order, clips = self._by_clip
        each, first = np.unique(clips, return_index=True)
        return each, first, np.searchsorted(self.distinct, self.texts)[order]

    @cached_property
    def _by_clip(self) -> tuple[Ids, Ids]:
        order = np.argsort(self.clips, kind="stable")
        return order, self.clips[order]

    def best_of(self, texts: Ids, products: Floats) -> tuple[Ids, Floats]:
        """The clips of these texts (n,), ascending, each once, and the largest of the products (n,) of its texts."""
        order = np.argsort(texts)
        mine = _places(*self._by_text, texts)
        clips, place = np.unique(self.clips[mine], return_inverse=True)
        largest = np.full(len(clips), -np.inf)
        np.maximum.at(largest, place, products[order][np.searchsorted(texts[order], self.texts[mine])])
        return clips, largest

    def within(self, clips: Ids) -> TextLinks:
        """The pairs of these clips alone."""
        mine = _places(*self._by_clip, clips)
        return TextLinks(self.texts[mine], self.clips[mine])


def _places(order: Ids, values: Ids, wanted: Ids) -> Ids:
    """Where the wanted ones are among values, which are ascending in `order`."""
    wanted = np.unique(wanted)
    first, last = np.searchsorted(values, wanted), np.searchsorted(values, wanted, side="right")
    counts = last - first
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    return order[starts + np.arange(int(counts.sum()))]
