"""Media elsewhere: a library and its videos move, and nothing is encoded again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.ingest.index_run import index_videos
from indexer.media.segmentation import Segmentation
from indexer.store.library import Library
from indexer.store.management import move_root
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError

NAMES = ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"]

pytestmark = pytest.mark.usefixtures("decoding_here")


def test_library_and_videos_move_to_another_place(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    (videos / "bad.mp4").write_bytes(b"")
    index_videos(tmp_path / "lib", [videos], encoder)
    library, moved = tmp_path / "other" / "library", tmp_path / "other" / "media"
    (tmp_path / "other").mkdir()
    (tmp_path / "lib").rename(library)
    videos.rename(moved)
    with Library.open(library, roots={"videos": moved}) as opened:
        assert [clip.path.name for clip in opened.catalog.list_clips() if clip.path.is_file()] == NAMES
        assert [failure.path for failure in opened.catalog.failures()] == [moved / "bad.mp4"]
        (root,) = opened.catalog.roots()
        assert (root.name, root.path, root.stored) == ("videos", moved, videos)
    (problem,) = verify_library(library)
    assert "with 5 videos" in problem.detail
    assert verify_library(library, {"videos": moved}) == []
    report = index_videos(library, [moved], encoder, roots={"videos": moved})
    assert (report.unchanged, report.indexed, report.moved, report.removed) == (5, 0, 0, 0)
    assert len(report.refused) == 1
    # A root that is only said to be elsewhere is not recorded; one that is moved is.
    with Library.open(library) as opened:
        assert opened.catalog.roots()[0].path == videos
    move_root(library, "videos", moved)
    assert verify_library(library) == []
    assert index_videos(library, [moved], encoder).unchanged == 5


def test_copied_videos_with_new_times_are_known_by_their_content(
    tmp_path: Path, videos: Path, encoder: FakeEncoder
) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    for path in videos.rglob("*.mp4"):
        os.utime(path, (7, 7))
    videos.rename(tmp_path / "copy")
    report = index_videos(tmp_path / "lib", [tmp_path / "copy"], encoder, roots={"videos": tmp_path / "copy"})
    assert (report.unchanged, report.indexed) == (5, 0)
    (tmp_path / "copy" / "new.mp4").write_bytes((tmp_path / "copy" / "a.mp4").read_bytes())
    assert (
        index_videos(tmp_path / "lib", [tmp_path / "copy"], encoder, roots={"videos": tmp_path / "copy"}).indexed == 1
    )
    with Library.open(tmp_path / "lib") as opened:
        assert [video.root for video in opened.catalog.list_videos()] == ["videos"] * 6


def test_paths_are_named_from_a_base(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    windows = Segmentation("window", window=0.2, overlap=0)
    index_videos(tmp_path / "lib", [videos / "a.mp4"], encoder, base=videos, segmentation=windows)
    index_videos(tmp_path / "lib", [videos / "more", videos / "b.mp4"], encoder, base=videos)
    with Library.open(tmp_path / "lib") as opened:
        assert [(root.name, root.path) for root in opened.catalog.roots()] == [("videos", videos)]
        found = opened.catalog.list_videos()
        assert sorted(video.relpath for video in found) == ["a.mp4", "b.mp4", "more/d.mp4", "more/e.mp4"]
        # What is new is cut like the latest video there.
        assert {video.segmentation for video in found} == {windows.text}
    with pytest.raises(InputError, match=r"videos is outside .*more\. Name paths in that folder"):
        index_videos(tmp_path / "lib", [videos], encoder, base=videos / "more")


def test_a_new_name_makes_a_root(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [videos], encoder, roots={"films": videos})
    with Library.open(tmp_path / "lib") as opened:
        assert [(root.name, root.path) for root in opened.catalog.roots()] == [("films", videos)]
        assert {video.relpath for video in opened.catalog.list_videos()} == {*NAMES[:3], "more/d.mp4", "more/e.mp4"}


def test_wrong_roots_are_named(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    with pytest.raises(InputError, match=r"no root 'films'\. Its roots are: videos"):
        Library.open(tmp_path / "lib", roots={"films": videos})
    with pytest.raises(InputError, match=r"no root 'films'\. Its roots are: videos"):
        move_root(tmp_path / "lib", "films", videos)
    with pytest.raises(InputError, match="nowhere is not a folder"):
        move_root(tmp_path / "lib", "videos", tmp_path / "nowhere")
    with pytest.raises(InputError, match="is already the root 'videos' of the library"):
        index_videos(tmp_path / "lib", [videos], encoder, roots={"films": videos})
