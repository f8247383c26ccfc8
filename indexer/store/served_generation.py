"""What answers questions: the galleries of a generation, in the library's own files or in another engine.

`Gallery` is the library's own. Another engine stands behind `RemoteGallery`: it gets questions that are checked, and
answers with the same hits.
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
from indexer.store.manifest import ModelInfo
from model.levels import LevelSpec, Vectors


class RemoteGallery(Protocol):
    """A gallery whose vectors lie in another engine. Safe to use from many threads.

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


class Served(Protocol):
    """A generation that answers questions. `indexer.store.generation.Generation` is one."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> ModelInfo:
        """The model that built it."""
        ...

    @property
    def clips(self) -> AnyGallery: ...

    @property
    def captions(self) -> AnyGallery: ...

    def gallery(self, kind: str) -> AnyGallery:
        """The one of `indexer.store.generation.KINDS`."""
        ...


class ServedElsewhere(Protocol):
    """Where generations are that another engine serves: one of them is live."""

    def current(self) -> Served:
        """The live generation, the same object until another is live. Raises LibraryError."""
        ...

    def close(self) -> None: ...
