"""Keeping, removing and verifying what a library holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.disk.writer_lock import writer_lock
from indexer.ingest.index_run import index_videos
from indexer.store.disk_usage import disk_usage, media_usage
from indexer.store.layout import strip_path, thumbnail_path
from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.store.verification import verify_library
from model.fake_encoder import FakeEncoder
from quartet.errors import InputError, LibraryError

pytestmark = pytest.mark.usefixtures("decoding_here")


@pytest.fixture
def library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> Path:
    index_videos(tmp_path / "lib", [videos], encoder)
    return tmp_path / "lib"


def names(library: Path) -> set[str]:
    with Library.open(library) as opened:
        clips = opened.catalog.list_clips(limit=None)
        assert opened.current().clips.ids.tolist() == [clip.id for clip in clips]
        return {clip.path.name for clip in clips}


def test_missing_videos_can_be_kept(library: Path, videos: Path, encoder: FakeEncoder) -> None:
    (videos / "a.mp4").unlink()
    (videos / "b.mp4").rename(videos / "renamed.mp4")
    kept = index_videos(library, [videos], encoder, keep_missing=True)
    assert (kept.missing, kept.moved, kept.removed, kept.clips_total) == (1, 1, 0, 5)
    with Library.open(library) as opened:
        assert media_usage(opened).missing == 1
    assert remove_videos(library, [], missing=True).removed == 1
    assert names(library) == {"renamed.mp4", "c.mp4", "d.mp4", "e.mp4"}


def test_an_empty_folder_is_taken_for_an_unmounted_disk(library: Path, videos: Path, encoder: FakeEncoder) -> None:
    videos.rename(videos.with_name("unmounted"))
    videos.mkdir()
    with pytest.raises(
        InputError, match=r"videos is empty, but the library has 5 videos from it\. If its disk is not mounted"
    ):
        index_videos(library, [videos], encoder)
    assert len(names(library)) == 5
    assert index_videos(library, [videos], encoder, keep_missing=True).missing == 5
    assert remove_videos(library, [videos]).clips_total == 0
    assert index_videos(library, [videos], encoder).removed == 0


def test_files_and_folders_are_removed_until_they_are_indexed_again(
    library: Path, videos: Path, encoder: FakeEncoder
) -> None:
    (videos / "bad.mp4").write_bytes(b"")
    index_videos(library, [videos], encoder)
    report = remove_videos(library, [videos / "a.mp4", videos / "more", videos / "bad.mp4"])
    assert (report.removed, report.clips_total) == (3, 2)
    assert names(library) == {"b.mp4", "c.mp4"}
    with Library.open(library) as opened:
        assert opened.catalog.failures() == []
    with pytest.raises(InputError, match=r"no video at .*a\.mp4"):
        remove_videos(library, [videos / "b.mp4", videos / "a.mp4"])
    assert names(library) == {"b.mp4", "c.mp4"}
    assert index_videos(library, [videos], encoder).indexed == 3


def test_usage_counts_what_is_there(library: Path, videos: Path) -> None:
    with Library.open(library) as opened:
        media = media_usage(opened)
    assert media.seconds == pytest.approx(3.0)
    assert (media.bytes, media.missing) == (sum(path.stat().st_size for path in videos.rglob("*.mp4")), 0)
    used = disk_usage(library)
    assert set(used) == {"index", "catalogue", "pictures"}
    assert used["pictures"] == sum(path.stat().st_size for path in library.glob("thumbnails/*/*.webp"))


def flip_a_byte(library: Path, videos: Path) -> None:
    (path,) = library.glob("generations/000002/clips/0000/entity.faiss")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lose_a_picture(library: Path, videos: Path) -> None:
    thumbnail_path(library, 2).unlink()


def lose_a_row(library: Path, videos: Path) -> None:
    with sqlite3.connect(library / "catalog.sqlite") as connection:
        connection.execute("delete from clips where id = 3")
        connection.execute("pragma user_version = 0")
    connection.close()
    thumbnail_path(library, 3).unlink()
    strip_path(library, 3).unlink()


def lose_vectors(library: Path, videos: Path) -> None:
    with sqlite3.connect(library / "catalog.sqlite") as connection:
        connection.execute(
            'insert into clips (id, video_id, start, "end", picture_crc, strip_crc) values (77, 1, 0, 1, 0, 0)'
        )
        connection.execute("pragma user_version = 0")
    connection.close()
    thumbnail_path(library, 77).write_bytes(b"")
    strip_path(library, 77).write_bytes(b"")


def delete_a_video(library: Path, videos: Path) -> None:
    (videos / "a.mp4").unlink()


def change_a_video(library: Path, videos: Path) -> None:
    (videos / "a.mp4").write_bytes(b"other")


@pytest.mark.parametrize(
    ("damage", "where", "detail"),
    [
        (lose_a_picture, "pictures", "picture of the clip 2 "),
        (lose_a_row, "catalogue", "clip 3 is in the index but not in the catalogue"),
        (lose_vectors, "index", "vectors of the clip 77 are missing"),
        (delete_a_video, "videos", "a.mp4 is gone"),
        (change_a_video, "videos", "a.mp4 has changed since it was indexed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_verifying_finds_what_is_wrong(
    library: Path, videos: Path, damage: Callable[[Path, Path], None], where: str, detail: str
) -> None:
    assert verify_library(library) == []
    damage(library, videos)
    problems = verify_library(library)
    assert [problem.where for problem in problems] == [where]
    assert detail in problems[0].detail


def test_a_root_that_is_away_is_one_problem(library: Path, videos: Path) -> None:
    videos.rename(videos.with_name("elsewhere"))
    (problem,) = verify_library(library)
    assert problem.where == "videos"
    assert f"with 5 videos, is not at {videos}" in problem.detail


def test_verifying_reads_large_indices_that_opening_does_not(
    library: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.store.generation._CHECKED_AT_OPEN", 0)
    flip_a_byte(library, videos)
    (problem,) = verify_library(library)
    assert problem.where == "index" and "entity.faiss has changed since Quartet wrote it" in problem.detail


def test_verifying_content_reads_the_videos(library: Path, videos: Path) -> None:
    path = videos / "a.mp4"
    content, status = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify_library(library) == []
    (problem,) = verify_library(library, content=True)
    assert "a.mp4 has changed its content" in problem.detail


def test_nothing_is_verified_beside_a_writer(library: Path) -> None:
    with writer_lock(library), pytest.raises(LibraryError, match=f"Process {os.getpid()} is writing"):
        verify_library(library)
