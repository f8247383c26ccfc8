"""docs/library-format.md tells the truth: its code reads a real library, its tables have those columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.schema import metadata
from indexer.ingest.index_run import index_videos
from indexer.store.library import Library
from indexer.store.manifest import FORMAT_VERSION
from model.fake_encoder import FakeEncoder

DOC = (Path(__file__).parents[3] / "docs" / "library-format.md").read_text(encoding="utf-8")


def test_the_tables_are_described() -> None:
    described = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", DOC, flags=re.MULTILINE))
    actual = {name: ", ".join(column.name for column in table.c) for name, table in metadata.tables.items()}
    assert described == actual
    assert f"format version {FORMAT_VERSION}" in DOC


def test_decoding_by_hand_works(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_videos(tmp_path / "demo-library", [videos], encoder)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    found: dict = {}
    exec(code, found)
    rows = found["rows"].fetchall()
    found["rows"].connection.close()
    with Library.open(tmp_path / "demo-library") as library:
        clips = library.catalog.list_clips()
        assert rows == [(clip.id, str(clip.path), clip.start, clip.end) for clip in clips]
        assert np.array_equal(found["entity"], library.current().clips.vectors(found["ids"])["entity"])
        generation = library.path / "generations" / library.current().name
        raw = (generation / "clips" / "0000" / "entity.faiss").read_bytes()[-4 * found["entity"].size :]
        assert np.array_equal(np.frombuffer(raw, "<f4").reshape(found["entity"].shape), found["entity"])
