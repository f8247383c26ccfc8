"""Filters by video, tag and time, from the catalogue into the search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from indexer.ingest.index_run import index_videos
from indexer.search.filters import ClipFilter, ClipTable
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.store.management import tag_videos
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError

if TYPE_CHECKING:
    from tests.indexer.conftest import Colour, MakeVideo

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
    with pytest.raises(InputError, match="must be before end"):
        ClipFilter(start=5.0, end=5.0)


@pytest.mark.parametrize("tag", ["", "  ", "--", "a,b", "a\0b", "x" * 65])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="tag"):
        ClipFilter(tags=frozenset({tag}))


def test_tags_keep_to_their_videos_through_changes_of_the_files(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, make_video: MakeVideo, colours: Sequence[Colour]
) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    assert tag_videos(tmp_path / "lib", [videos], add=["Everything"]) == 5
    assert tag_videos(tmp_path / "lib", [videos / "more", videos / "a.mp4"], add=["A  Holiday", "Snow"]) == 3
    assert tag_videos(tmp_path / "lib", [videos / "more" / "d.mp4"], remove=["snow"]) == 1
    with Library.open(tmp_path / "lib") as library:

        def names(*tags: str, **others: Any) -> set[str]:
            kept = library.select_clips(ClipFilter(tags=frozenset(tags), **others))
            query = encoder.encode_texts(["a cat running"]).vectors
            found = search(library.current().clips, encoder.spec.levels, query, 9, {}, kept).hits
            return {library.catalog.clip(hit.id).path.name for hit in found}

        assert library.catalog.tags() == {"a holiday": 3, "everything": 5, "snow": 2}
        assert names("A holiday") == {"a.mp4", "d.mp4", "e.mp4"}
        assert names("SNOW", "a holiday") == {"a.mp4", "e.mp4"}
        assert names("sun") == names("snow", "sun") == set()
        assert names("snow", start=100.0) == set()
        (videos / "a.mp4").rename(videos / "z.mp4")
        make_video(videos / "more" / "e.mp4", [colours[7]] * 9)
        (videos / "more" / "d.mp4").unlink()
        index_videos(library.path, [videos], encoder)
        assert names("a holiday") == {"z.mp4", "e.mp4"}
        assert library.catalog.tags() == {"a holiday": 2, "everything": 4, "snow": 2}
        ids = {video.path.name: video.id for video in library.catalog.list_videos()}
        assert library.catalog.tags_of(ids.values())[ids["z.mp4"]] == ["a holiday", "everything", "snow"]
        tag_videos(library.path, [videos / "z.mp4"], remove=["snow"])
        assert names("snow") == {"e.mp4"}
        for paths, tags in (([videos / "gone.mp4"], ["x"]), ([videos], ["x", ","])):
            with pytest.raises(InputError):
                tag_videos(library.path, paths, add=tags)
        assert "x" not in library.catalog.tags()


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
