"""What the catalogue keeps of a change of the model: the vectors that the next model has made, and the generation of
the previous one.

Every function is one transaction, or part of its caller's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Engine, Select, delete, func, select

from indexer.catalog.schema import captions, clips, next_vectors, unfinished
from indexer.catalog.staged_vectors import pack, stage, staged_rows
from indexer.catalog.writing_session import fact, set_fact
from indexer.search.vectors.row_source import RowSource
from model.encoder import EncoderSpec
from model.levels import FloatArray, FrameSpec, LevelSpec

NEXT_MODEL = "next model"
"""The fact that a change is under way: the specification of the model that the library is changed to, as JSON."""

MODEL_BEFORE = "generation of the previous model"
"""The fact that names the generation to which the model can be changed back, by its number."""

_LIVE = {"clips": clips, "captions": captions}


def next_model(engine: Engine) -> EncoderSpec | None:
    """The model of the change that is under way."""
    with engine.connect() as connection:
        return _next_model(connection)


def begin_change(engine: Engine, spec: EncoderSpec) -> None:
    """Begin a change to a model, or go on with it. What an unfinished change to another has made is dropped."""
    with engine.begin() as connection:
        known = _next_model(connection)
        if known is None or not known.is_same(spec):
            forget_change(connection)
            set_fact(connection, NEXT_MODEL, json.dumps(asdict(spec)))


def forget_change(connection: Connection) -> None:
    connection.execute(delete(next_vectors))
    set_fact(connection, NEXT_MODEL, None)


def keep_next(engine: Engine, spec: EncoderSpec, kind: str, rows: Mapping[int, Mapping[str, FloatArray]]) -> None:
    """Keep vectors that the next model has made, by the ids of their items."""
    with engine.begin() as connection:
        frames = kind == "clips" and spec.frames is not None
        packed = [(item, pack(spec.levels, own, frames)) for item, own in rows.items()]
        stage(connection, kind, packed, next_vectors)


def next_ids(engine: Engine, kind: str) -> set[int]:
    """The items that the next model has made vectors of."""
    with engine.connect() as connection:
        return set(connection.scalars(select(next_vectors.c.item_id).where(next_vectors.c.kind == kind)))


def next_counts(engine: Engine) -> dict[str, int]:
    """How many items of each gallery those are."""
    query = select(next_vectors.c.kind, func.count()).group_by(next_vectors.c.kind)
    with engine.connect() as connection:
        return dict.fromkeys(_LIVE, 0) | {row[0]: row[1] for row in connection.execute(query)}


def next_rows(engine: Engine, spec: EncoderSpec, kind: str) -> RowSource:
    """Items with vectors that the next model has made."""
    return staged_rows(engine, kind, spec.levels, next_vectors)


def drop_next(connection: Connection, kind: str, ids: Collection[int] | Select) -> None:
    """Items are removed: nothing of them stays."""
    connection.execute(delete(next_vectors).where(next_vectors.c.kind == kind, next_vectors.c.item_id.in_(ids)))


def generation_before(engine: Engine) -> int | None:
    """The number of the generation of the previous model, where it is kept."""
    with engine.connect() as connection:
        number = fact(connection, MODEL_BEFORE)
    return None if number is None else int(number)


def keep_generation(connection: Connection, number: int | None) -> None:
    set_fact(connection, MODEL_BEFORE, None if number is None else str(number))


def finish_change(connection: Connection, manifest: str | None) -> None:
    """A generation with this manifest has gone live: if it is of the next model, the change is complete.

    The clips of unfinished files were made by the previous model.
    """
    known = _next_model(connection)
    live = None if manifest is None else json.loads(manifest)
    if known is None or live is None:
        return
    frames = None if known.frames is None else asdict(known.frames)
    if live["model"]["fingerprint"] == known.fingerprint and live.get("frames") == frames:
        forget_change(connection)
        connection.execute(delete(unfinished))


def clips_by_video(engine: Engine) -> dict[int, list[tuple[int, float, float]]]:
    """Of every video the ids of its clips with their start and end in seconds, in the order of the file."""
    query = select(clips.c.video_id, clips.c.id, clips.c.start, clips.c.end).where(clips.c.removed.is_(None))
    found: dict[int, list[tuple[int, float, float]]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query.order_by(clips.c.id)):
            found.setdefault(row.video_id, []).append((row.id, row.start, row.end))
    return found


def _next_model(connection: Connection) -> EncoderSpec | None:
    known = fact(connection, NEXT_MODEL)
    if known is None:
        return None
    raw = json.loads(known)
    levels: Sequence[LevelSpec] = [LevelSpec(**level) for level in raw.pop("levels")]
    frames = raw.pop("frames", None)
    return EncoderSpec(levels=tuple(levels), frames=None if frames is None else FrameSpec(**frames), **raw)
