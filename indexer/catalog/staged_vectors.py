"""Vectors that wait in the catalogue for a generation: the levels of an item, one after the other, and then those of
its single frames, where the library keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, Engine, Table, insert, select

from indexer.catalog.schema import staged
from indexer.search.vectors.row_source import Columns, Ids, RowSource
from model.levels import FRAMES, FloatArray, LevelSpec

_ITEMS_PER_QUERY = 1024
"""Items whose vectors are read by one query."""


def pack(levels: Sequence[LevelSpec], vectors: Mapping[str, FloatArray], frames: bool = False) -> bytes:
    """The vectors of one item as little-endian float32, in the order of `levels`; `frames` as float16 after them."""
    packed = np.concatenate([vectors[level.name] for level in levels]).astype("<f4").tobytes()
    return packed + vectors[FRAMES].astype("<f2").tobytes() if frames else packed


def stage(connection: Connection, kind: str, rows: Sequence[tuple[int, bytes]], table: Table = staged) -> None:
    """Have packed vectors of items, by their ids, wait in the gallery `kind`."""
    if rows:
        values = [{"kind": kind, "item_id": item, "vectors": vectors} for item, vectors in rows]
        connection.execute(insert(table), values)


def staged_rows(engine: Engine, kind: str, levels: Sequence[LevelSpec], table: Table = staged) -> RowSource:
    """All that waits in a gallery. Vectors are read from the catalogue when they are asked for."""
    with engine.connect() as connection:
        query = select(table.c.item_id).where(table.c.kind == kind).order_by(table.c.item_id)
        ids = np.fromiter(connection.scalars(query), dtype=np.int64)
    ends = 4 * np.cumsum([level.dim for level in levels])

    def read(wanted: Ids) -> Columns:
        blobs: list[bytes] = []
        with engine.connect() as connection:
            for start in range(0, len(wanted), _ITEMS_PER_QUERY):
                some = wanted[start : start + _ITEMS_PER_QUERY].tolist()
                query = select(table.c.vectors).where(table.c.kind == kind, table.c.item_id.in_(some))
                blobs += connection.scalars(query.order_by(table.c.item_id))
        packed = np.frombuffer(b"".join(blobs), dtype=np.uint8).reshape(len(wanted), -1 if len(wanted) else ends[-1])
        *parts, frames = np.split(packed, ends, axis=1)
        names = [level.name for level in levels]
        vectors = {name: np.ascontiguousarray(part).view("<f4") for name, part in zip(names, parts, strict=True)}
        if frames.shape[1]:
            vectors[FRAMES] = np.ascontiguousarray(frames).view("<f2")
        return vectors

    return RowSource(ids, read)
