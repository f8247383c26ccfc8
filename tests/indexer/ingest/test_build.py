"""Indexing folders: what gets in, what stays, what leaves, and what an interruption costs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.catalog.records import Clip
from indexer.ingest.index_run import IndexReport, index_videos
from indexer.media.clip_reader import sample_frames
from indexer.pipeline import local_pipeline as pipeline
from indexer.pipeline.progress import Progress
from indexer.search.top_k import search
from indexer.store.library import Library
from model.encoder import Frames
from model.fake_encoder import FakeEncoder
from model.levels import Vectors
from quartet.errors import FingerprintError, InputError, LibraryError

MakeVideo = Callable[..., Path]
Colours = Sequence[tuple[int, int, int]]


class CountingEncoder(FakeEncoder):
    """Remembers how many clips it has encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        self.encoded += len(clips)
        return super().encode_clips(clips)


def clips_by_name(library_path: Path) -> dict[str, Clip]:
    """Live clips by file name; every one is in the live generation and has a picture."""
    with Library.open(library_path) as library:
        clips = library.catalog.list_clips(limit=1000)
        generation = library.current()
        assert generation.clips.ids.tolist() == [clip.id for clip in clips]
        assert generation.manifest.counts["clips"] == library.catalog.counts().clips == len(clips)
        for clip in clips:
            assert library.thumbnail(clip.id).stat().st_size > 0
        return {clip.path.name: clip for clip in clips}


def numbers(report: IndexReport) -> tuple[int, int, int, int]:
    return report.indexed, report.unchanged, report.moved, report.removed


def test_indexed_clips_are_found_by_their_content(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    heard: list[Progress] = []
    report = index_videos(tmp_path / "lib", [videos], encoder, on_progress=heard.append)
    assert numbers(report) == (5, 0, 0, 0)
    assert (report.clips_total, report.generation, report.refused) == (5, "000002", [])
    assert not report.interrupted
    assert [(p.done, p.total, p.clips) for p in heard] == [(i, 5, i) for i in range(6)]
    assert [p.path.name for p in heard if p.path] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"]
    with Library.open(tmp_path / "lib") as library:
        gallery = library.current().clips
        for clip in library.catalog.list_clips():
            query = encoder.encode_clips([sample_frames(clip.path, 4).frames])
            best = search(gallery, encoder.spec.levels, query, 1, {"global": 0.0}).hits[0]
            assert best.id == clip.id
            assert best.score == pytest.approx(1.0)
            assert (clip.start, clip.end, clip.title) == (0.0, pytest.approx(0.6), clip.path.stem)
        video = library.catalog.list_videos()[3]
        assert (video.root, video.relpath, video.path) == ("videos", "more/d.mp4", videos / "more" / "d.mp4")
        assert (video.width, video.height, video.fps) == (64, 48, pytest.approx(10.0))


def test_a_second_run_does_nothing(tmp_path: Path, videos: Path) -> None:
    encoder = CountingEncoder()
    index_videos(tmp_path / "lib", [videos], encoder)
    report = index_videos(tmp_path / "lib", [videos, videos / "more"], encoder)
    assert numbers(report) == (0, 5, 0, 0)
    assert (encoder.encoded, report.generation, report.clips_total) == (5, "000002", 5)


def test_renamed_touched_changed_and_deleted_files(
    tmp_path: Path, videos: Path, make_video: MakeVideo, colours: Colours
) -> None:
    encoder = CountingEncoder()
    library = tmp_path / "lib"
    index_videos(library, [videos], encoder)
    before = clips_by_name(library)
    (videos / "a.mp4").rename(videos / "more" / "renamed.mp4")
    os.utime(videos / "b.mp4", (1, 1))
    make_video(videos / "c.mp4", [colours[9]] * 7)
    (videos / "more" / "d.mp4").unlink()
    make_video(videos / "new.mp4", [colours[10]] * 6)
    report = index_videos(library, [videos], encoder)
    assert numbers(report) == (2, 2, 1, 1)
    assert encoder.encoded == 7
    after = clips_by_name(library)
    assert set(after) == {"renamed.mp4", "b.mp4", "c.mp4", "e.mp4", "new.mp4"}
    assert after["renamed.mp4"].id == before["a.mp4"].id
    assert after["renamed.mp4"].title == "renamed"
    assert after["b.mp4"] == replace(before["b.mp4"], mtime=1.0)
    assert after["c.mp4"].id not in {clip.id for clip in before.values()}
    assert after["c.mp4"].end == pytest.approx(0.7)
    assert numbers(index_videos(library, [videos], encoder)) == (0, 5, 0, 0)


def test_a_video_that_takes_the_place_of_another(tmp_path: Path, videos: Path) -> None:
    encoder = CountingEncoder()
    index_videos(tmp_path / "lib", [videos], encoder)
    before = clips_by_name(tmp_path / "lib")
    (videos / "a.mp4").replace(videos / "b.mp4")
    report = index_videos(tmp_path / "lib", [videos], encoder)
    after = clips_by_name(tmp_path / "lib")
    assert (report.moved, report.indexed, encoder.encoded) == (1, 0, 5)
    assert set(after) == {"b.mp4", "c.mp4", "d.mp4", "e.mp4"}
    assert after["b.mp4"].id == before["a.mp4"].id


def test_copies_are_videos_of_their_own(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    shutil.copy(videos / "a.mp4", videos / "copy.mp4")
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert numbers(report) == (6, 0, 0, 0)
    (videos / "a.mp4").unlink()
    assert numbers(index_videos(tmp_path / "lib", [videos], encoder)) == (0, 5, 0, 1)
    assert "copy.mp4" in clips_by_name(tmp_path / "lib")


def test_files_outside_of_the_inputs_stay(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    (videos / "a.mp4").unlink()
    (videos / "more" / "d.mp4").unlink()
    report = index_videos(tmp_path / "lib", [videos / "more"], encoder)
    assert numbers(report) == (0, 1, 0, 1)
    assert set(clips_by_name(tmp_path / "lib")) == {"a.mp4", "b.mp4", "c.mp4", "e.mp4"}


def test_deleted_clips_can_be_looked_up_while_a_reader_may_hold_them(
    tmp_path: Path, videos: Path, encoder: FakeEncoder
) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    with Library.open(tmp_path / "lib") as library:
        held = library.current().clips.ids.tolist()
        (videos / "a.mp4").unlink()
        index_videos(tmp_path / "lib", [videos], encoder)
        assert set(library.catalog.clips(held)) == set(held)
        assert library.thumbnail(held[0]).is_file()
        (videos / "b.mp4").unlink()
        index_videos(tmp_path / "lib", [videos], encoder)
        assert set(library.catalog.clips(held)) == set(held[1:])
        assert not (tmp_path / "lib" / "thumbnails" / "000000" / f"{held[0]}.webp").exists()


def test_bad_files_among_good_ones_are_listed_with_their_reasons(
    tmp_path: Path, videos: Path, sound_file: Path, make_video: MakeVideo, colours: Colours
) -> None:
    encoder = CountingEncoder()
    (videos / "notes.txt").write_text("buy milk\n" * 20)
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "cut.mp4").write_bytes((videos / "a.mp4").read_bytes()[:300])
    (videos / ".hidden.mp4").write_bytes(b"never looked at")
    (videos / ".cache").mkdir()
    (videos / ".cache" / "x.mp4").write_bytes(b"never looked at")
    sound_file.rename(videos / "song.mp4")
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert report.indexed == 5
    assert {failure.path.name: failure.reason for failure in report.refused} == {
        "notes.txt": "not-a-video",
        "empty.mp4": "empty-file",
        "cut.mp4": "truncated",
        "song.mp4": "no-video-stream",
    }
    again = index_videos(tmp_path / "lib", [videos], encoder)
    assert again.refused == report.refused
    (videos / "notes.txt").unlink()
    make_video(videos / "cut.mp4", [colours[8]] * 6)
    mended = index_videos(tmp_path / "lib", [videos], encoder)
    assert (mended.indexed, mended.unchanged) == (1, 5)
    assert {failure.path.name for failure in mended.refused} == {"empty.mp4", "song.mp4"}


def test_refused_files_are_only_tried_again_when_they_change(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (videos / "bad.mp4").write_bytes(b"")
    index_videos(tmp_path / "lib", [videos], encoder)

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(pipeline, "file_sha256", never)
    assert len(index_videos(tmp_path / "lib", [videos], encoder).refused) == 1


def test_a_good_video_that_goes_bad_leaves_the_library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    (videos / "a.mp4").write_bytes(b"")
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert [failure.reason for failure in report.refused] == ["empty-file"]
    assert set(clips_by_name(tmp_path / "lib")) == {"b.mp4", "c.mp4", "d.mp4", "e.mp4"}


def test_names_that_are_not_unicode_are_refused(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    shutil.copy(videos / "a.mp4", Path(os.fsdecode(os.fsencode(videos) + b"/caf\xe9.mp4")))
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert report.indexed == 5
    assert [(failure.path.name, failure.reason) for failure in report.refused] == [("caf?.mp4", "unreadable")]


def test_a_folder_that_cannot_be_listed_keeps_its_videos(
    tmp_path: Path, videos: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_videos(tmp_path / "lib", [videos], encoder)
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "more":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        report = index_videos(tmp_path / "lib", [videos], encoder)
    assert (report.unchanged, report.removed, report.clips_total) == (3, 0, 5)
    assert [(failure.path.name, failure.reason) for failure in report.refused] == [("more", "unreadable")]
    assert index_videos(tmp_path / "lib", [videos], encoder).refused == []


def test_a_library_inside_of_the_indexed_folder_is_not_indexed(videos: Path, encoder: FakeEncoder) -> None:
    index_videos(videos / "lib", [videos], encoder)
    report = index_videos(videos / "lib", [videos], encoder)
    assert (report.unchanged, report.refused) == (5, [])


@pytest.mark.parametrize("stop_at", [1, 3])
def test_ctrl_c_publishes_what_is_complete_and_the_next_run_resumes(tmp_path: Path, videos: Path, stop_at: int) -> None:
    encoder = CountingEncoder()

    def stop(progress: Progress) -> None:
        if progress.clips == stop_at:
            raise KeyboardInterrupt

    first = index_videos(tmp_path / "lib", [videos], encoder, on_progress=stop)
    assert first.interrupted
    assert first.indexed == first.clips_total == len(clips_by_name(tmp_path / "lib")) == stop_at
    encoder.encoded = 0
    second = index_videos(tmp_path / "lib", [videos], encoder)
    assert not second.interrupted
    assert numbers(second) == (5 - stop_at, stop_at, 0, 0)
    assert encoder.encoded == 5 - stop_at
    assert len(clips_by_name(tmp_path / "lib")) == 5


@pytest.mark.parametrize("step", ["publish", "finish_generation"])
def test_a_crash_while_publishing_loses_nothing(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    encoder = CountingEncoder()

    def crash(*_: object) -> None:
        raise MemoryError

    index_videos(tmp_path / "lib", [videos / "a.mp4"], encoder)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        if step == "publish":
            # After the generation's folder has its name, before CURRENT says so.
            patch.setattr("indexer.store.generation_swap.replace_file", crash)
        else:
            patch.setattr("indexer.catalog.writer.CatalogWriter.finish_generation", crash)
        index_videos(tmp_path / "lib", [videos], encoder)
    Library.open(tmp_path / "lib").close()
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert numbers(report) == (0, 5, 0, 0)
    assert encoder.encoded == 5
    assert len(clips_by_name(tmp_path / "lib")) == 5


def test_several_workers_give_the_same_library(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "one", [videos], encoder)
    index_videos(tmp_path / "two", [videos], encoder, workers=2)
    with Library.open(tmp_path / "one") as one, Library.open(tmp_path / "two") as two:
        assert one.current().manifest.checksums == two.current().manifest.checksums
        assert one.catalog.list_clips() == two.catalog.list_clips()


def test_bad_input_changes_nothing(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(InputError, match="does not exist"):
        index_videos(tmp_path / "lib", [videos, tmp_path / "nowhere"], encoder)
    with pytest.raises(InputError, match="at least one"):
        index_videos(tmp_path / "lib", [], encoder)
    assert not (tmp_path / "lib").exists()
    with pytest.raises(LibraryError, match=r"it holds a\.mp4"):
        index_videos(videos, [videos / "a.mp4"], encoder)
    with pytest.raises(InputError, match="both the library and the videos"):
        index_videos(videos, [videos], encoder)
    index_videos(tmp_path / "lib", [videos], encoder)
    with pytest.raises(FingerprintError):
        index_videos(tmp_path / "lib", [videos], FakeEncoder(seed=1))
    assert len(clips_by_name(tmp_path / "lib")) == 5


def test_what_is_no_video_file_is_not_even_opened(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    pipe, loop = tmp_path / "pipe.mp4", tmp_path / "loop.mp4"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path, said in ((pipe, "neither a file nor a folder"), (Path("/dev/zero"), "neither"), (loop, "cannot be read")):
        with pytest.raises(InputError, match=f"{path.name} .*{said}"):
            index_videos(tmp_path / "lib", [videos, path], encoder)
    assert not (tmp_path / "lib").exists()
    (videos / "pipe.mp4").symlink_to(pipe)
    assert index_videos(tmp_path / "lib", [videos], encoder).refused == []


def test_a_library_is_not_indexed_into_itself(tmp_path: Path, videos: Path, encoder: FakeEncoder) -> None:
    library = tmp_path / "lib"
    index_videos(library, [videos], encoder)
    for path in (library / "thumbnails" / "000000", library / "generations"):
        with pytest.raises(InputError, match="belongs to the library itself"):
            index_videos(library, [videos, path], encoder)
    with pytest.raises(InputError, match="both the library and the videos"):
        index_videos(library, [videos, library], encoder)
    assert len(clips_by_name(library)) == 5


def test_two_copies_of_a_video_that_has_gone_are_the_video_and_a_new_one(tmp_path: Path, videos: Path) -> None:
    encoder = CountingEncoder()
    index_videos(tmp_path / "lib", [videos], encoder)
    before = clips_by_name(tmp_path / "lib")
    shutil.copy(videos / "a.mp4", videos / "copy.mp4")
    (videos / "a.mp4").rename(videos / "again.mp4")
    report = index_videos(tmp_path / "lib", [videos], encoder)
    assert numbers(report) == (1, 4, 1, 0)
    assert (encoder.encoded, report.progress.done, report.progress.total) == (6, 6, 6)
    after = clips_by_name(tmp_path / "lib")
    assert after["again.mp4"].id == before["a.mp4"].id
    assert after["copy.mp4"].id not in {clip.id for clip in before.values()}
