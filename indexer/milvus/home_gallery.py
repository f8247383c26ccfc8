"""A gallery of a generation whose vectors are at home in Milvus, in collections that later generations share.

They also have what is being written for the next generation, and what left with this one. A condition on the ids keeps
out the first, which has higher ids; whatever else is not of this generation is taken out of the lists here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from indexer.milvus.collections import GalleryFacts
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.score_bounds import LevelList
from indexer.search.vectors.row_source import Ids, RowSource
from model.levels import LevelSpec, Vectors
from quartet.errors import NotFoundError

if TYPE_CHECKING:
    from indexer.milvus.home import Home


class MilvusHomeGallery(MilvusGallery):
    """See the module; `indexer.store.vector_home.HomeGallery`."""

    def __init__(self, home: Home, collection: str, levels: Sequence[LevelSpec], ids: Ids, facts: GalleryFacts) -> None:
        super().__init__(home.client, home.address, collection, levels, facts)
        self.ids = ids
        self.encoding: dict[str, Any] = {}
        self._home = home  # its connection ends when nobody holds it

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, item: int) -> bool:
        return bool(self._held(np.array([item]))[0])

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        held = self._held(wanted)
        if not held.all():
            raise NotFoundError(f"There is no item {wanted[~held][0]} in this generation of the library.")
        return super().vectors(wanted)

    def source(self) -> RowSource:
        return RowSource(self.ids, self.vectors)

    def _held(self, ids: Ids) -> npt.NDArray[np.bool_]:
        places = np.searchsorted(self.ids, ids)
        held = places < len(self.ids)
        held[held] = self.ids[places[held]] == ids[held]
        return held

    def _expression(self, column: int, condition: str) -> str:
        own = f"id <= {self.ids[-1]}"
        others = super()._expression(column, condition)
        return f"{own} and {others}" if others else own

    def _list(self, hits: Any, error: float, ended: bool) -> LevelList:
        found = super()._list(hits, error, ended)
        held = self._held(found.ids)
        if held.all():
            return found
        return replace(found, ids=found.ids[held], products=found.products[held], last=float(found.products[-1]))
