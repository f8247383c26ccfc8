"""Vectors that wait in the catalogue for a generation: the levels of an item, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, Engine, Table, insert, select

from indexer.catalog.schema import staged
from indexer.search.vectors.row_source import Ids, RowSource
from model.levels import FloatArray, LevelSpec

_ASKED = 1024
"""Items whose vectors are read by one query."""


def pack(levels: Sequence[LevelSpec], vectors: Mapping[str, FloatArray]) -> bytes:
    """The vectors of one item as little-endian float32, in the order of `levels`."""
    return np.concatenate([vectors[level.name] for level in levels]).astype("<f4").tobytes()


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
    ends = np.cumsum([level.dim for level in levels])

    def read(wanted: Ids) -> Mapping[str, FloatArray]:
        packed = np.empty((len(wanted), ends[-1]), dtype="<f4")
        with engine.connect() as connection:
            for start in range(0, len(wanted), _ASKED):
                some = wanted[start : start + _ASKED].tolist()
                query = select(table.c.vectors).where(table.c.kind == kind, table.c.item_id.in_(some))
                found = connection.scalars(query.order_by(table.c.item_id)).all()
                packed[start : start + len(some)] = np.frombuffer(b"".join(found), dtype="<f4").reshape(len(some), -1)
        parts = np.split(packed, ends[:-1], axis=1)
        return {level.name: part for level, part in zip(levels, parts, strict=True)}

    return RowSource(ids, read)
