"""Filters by video and time, from the catalogue into the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.build import index_videos
from indexer.filters import ClipFilter, ClipTable
from indexer.library import Library
from indexer.search import search
from model.errors import InputError
from model.fake import FakeEncoder

TABLE = ClipTable(
    ids=np.array([1, 2, 3, 9]),
    video_ids=np.array([7, 7, 8, 8]),
    starts=np.array([0.0, 5.0, 0.0, 5.0]),
    ends=np.array([5.0, 9.0, 5.0, 9.0]),
)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (ClipFilter(), [1, 2, 3, 9]),
        (ClipFilter(frozenset({7})), [1, 2]),
        (ClipFilter(frozenset({7, 8}), start=5.0), [2, 9]),
        (ClipFilter(end=5.0), [1, 3]),
        (ClipFilter(frozenset({8}), start=4.0, end=6.0), [3, 9]),
        (ClipFilter(frozenset()), []),
    ],
)
def test_conditions_hold_together(wanted: ClipFilter, ids: list[int]) -> None:
    assert TABLE.select(wanted).tolist() == ids


def test_an_empty_time_range_is_refused() -> None:
    with pytest.raises(InputError, match="from 5 s to 5 s is empty"):
        ClipFilter(start=5.0, end=5.0)


def test_a_search_in_one_video(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    query = encoder.encode_texts(["a cat running"]).vectors
    with Library.open(tmp_path / "lib") as library:
        for clip in library.catalog.list_clips():
            only = library.select_clips(ClipFilter(frozenset({clip.video_id}), start=clip.start))
            found = search(library.current().clips, encoder.spec.levels, query, 5, {}, only)
            assert [hit.id for hit in found.hits] == [clip.id]
        (videos / "a.mp4").unlink()
        index_videos(library.path, [videos], encoder)
        assert len(library.select_clips(ClipFilter(start=0.0))) >= 4
