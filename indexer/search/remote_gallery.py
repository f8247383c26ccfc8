"""A gallery in another engine: it gets questions that are checked, and answers with the same hits.

`Gallery` is the library's own, in files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from indexer.search.filters import ClipFilter
from indexer.search.question import Question
from indexer.search.result import SearchResult
from indexer.search.vectors.gallery import Gallery
from model.levels import LevelSpec, Vectors


class RemoteGallery(Protocol):
    """A gallery whose vectors are in another engine. Safe to use from many threads.

    Every method raises LibraryError if the engine does not answer.
    """

    @property
    def levels(self) -> tuple[LevelSpec, ...]: ...

    def __len__(self) -> int: ...

    def __contains__(self, item: int) -> bool: ...

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        """The stored vectors of items, all levels. Raises NotFoundError for an unknown id."""
        ...

    def answer(
        self, question: Question, k: int, filter: npt.NDArray[np.int64] | ClipFilter | None, exact: bool
    ) -> list[SearchResult]:
        """See `top_k.search`: a result per query. A ClipFilter has no tags, but the videos that have them."""
        ...


AnyGallery = Gallery | RemoteGallery
