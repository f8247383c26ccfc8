"""Vectors that wait in the catalogue for a generation: the levels of an item, one after the other, and then those of
its single frames, where the library keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, Table, insert, select

from indexer.catalog.schema import staged
from indexer.search.vectors.gallery import Rows, empty_rows
from model.levels import FRAMES, FloatArray, LevelSpec


def pack(levels: Sequence[LevelSpec], vectors: Mapping[str, FloatArray], frames: bool = False) -> bytes:
    """The vectors of one item as little-endian float32, in the order of `levels`; `frames` as float16 after them."""
    packed = np.concatenate([vectors[level.name] for level in levels]).astype("<f4").tobytes()
    return packed + vectors[FRAMES].astype("<f2").tobytes() if frames else packed


def stage(connection: Connection, kind: str, rows: Sequence[tuple[int, bytes]], table: Table = staged) -> None:
    """Have packed vectors of items, by their ids, wait in the gallery `kind`."""
    if rows:
        values = [{"kind": kind, "item_id": item, "vectors": vectors} for item, vectors in rows]
        connection.execute(insert(table), values)


def staged_rows(connection: Connection, kind: str, levels: Sequence[LevelSpec], table: Table = staged) -> Rows:
    """Ids, ascending, and vectors of all that waits in a gallery."""
    query = select(table.c.item_id, table.c.vectors).where(table.c.kind == kind).order_by(table.c.item_id)
    found = connection.execute(query).all()
    if not found:
        return empty_rows(levels)
    ids = np.array([row.item_id for row in found], dtype=np.int64)
    packed = np.frombuffer(b"".join(row.vectors for row in found), dtype=np.uint8).reshape(len(ids), -1)
    ends = 4 * np.cumsum([level.dim for level in levels])
    *parts, frames = np.split(packed, ends, axis=1)
    names = [level.name for level in levels]
    vectors = {name: np.ascontiguousarray(part).view("<f4") for name, part in zip(names, parts, strict=True)}
    if frames.shape[1]:
        vectors[FRAMES] = np.ascontiguousarray(frames).view("<f2")
    return ids, vectors
