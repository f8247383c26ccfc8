"""A large library of made clips for the benchmark of the service: rows and vectors, no video files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import insert

from benchmarks.search.made_vectors import load, make_data
from indexer.catalog.schema import clips, open_database, roots, videos
from indexer.search.vectors.row_source import empty_rows
from indexer.store.generation_swap import publish
from indexer.store.layout import exists
from indexer.store.library import Library
from model.registry import load_encoder


def make_library(folder: Path, count: int, seed: int) -> Path:
    """A library of `count` clips in the spaces of the model demo, made once.

    The vectors are those of `benchmarks.search.made_vectors`, with zeros after or less of them where a
    level's width differs.
    """
    if exists(folder):
        return folder
    spec = load_encoder("demo", "cpu").spec
    make_data(folder.with_suffix(".vectors"), count, seed)
    made = load(folder.with_suffix(".vectors"))
    vectors = {}
    for level in spec.levels:
        rows = np.zeros((count, level.dim), np.float32)
        width = min(level.dim, made[level.name].shape[1])
        rows[:, :width] = made[level.name][:, :width]
        vectors[level.name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    Library.create(folder, spec).close()
    engine = open_database(folder / "catalog.sqlite")
    with engine.begin() as connection:
        connection.execute(insert(roots).values(id=1, name="made", path="/made"))
        connection.execute(insert(videos), [_video(i) for i in range(1, count + 1)])
        connection.execute(
            insert(clips), [{"id": i, "video_id": i, "start": 0, "end": 10} for i in range(1, count + 1)]
        )
    engine.dispose()
    publish(folder, spec, {"clips": (np.arange(1, count + 1), vectors), "captions": empty_rows(spec.levels)})
    return folder


def _video(i: int) -> dict[str, object]:
    known = {"size": 1, "mtime": 0, "duration": 10, "fps": 25, "width": 640, "height": 360}
    return {"id": i, "root_id": 1, "relpath": f"{i}.mp4", "title": f"clip {i}", "sha256": f"{i:064x}", **known}
