"""A catalogue and generations that never disagree in silence, and vectors that are not finite."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.storage.stand_in_videos import write_stand_in
from indexer.catalog.writer import CatalogWriter
from indexer.ingest.index_run import index_videos
from indexer.ingest.publish_timer import PublishTimer
from indexer.repair import library_repair
from indexer.repair.library_repair import repair_library
from indexer.store import generation_swap
from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.encoder import Frames, TextBatch
from model.fake_encoder import FakeEncoder
from model.levels import LEVEL_NAMES, Vectors
from quartet.errors import LibraryError


class Faulty(FakeEncoder):
    """A model that fails on the stand-in 2 and on one text."""

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        vectors = super().encode_clips(clips)
        for row, frames in enumerate(clips):
            if frames[0, 0, 0, 0] == 80:
                vectors["action"][row, 3] = np.nan
        return vectors

    def encode_texts(self, texts: Sequence[str]) -> TextBatch:
        batch = super().encode_texts(texts)
        for row, text in enumerate(texts):
            if text == "broken":
                batch.vectors["entity"][row, 0] = np.inf
        return batch


def own_vectors(library: Path) -> bool:
    """Whether every clip has the vectors of its own video."""
    with Library.open(library) as opened:
        clips = opened.catalog.list_clips(limit=None)
        assert opened.current().clips.ids.tolist() == [clip.id for clip in clips]
        for clip in clips:
            number = int(clip.path.read_text())
            colour = number * 40 % 256, number * 24 % 256, int(clip.start) * 20 % 256
            own = FakeEncoder().encode_clips([np.full((4, 8, 8, 3), colour, np.uint8)])
            stored = opened.current().clips.vectors([clip.id])
            if not all(np.array_equal(own[name], stored[name]) for name in LEVEL_NAMES):
                return False
    return True


def test_an_older_catalogue_is_refused_and_repaired(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    library, kept = tmp_path / "lib", tmp_path / "kept.sqlite"
    index_videos(library, [stand_ins], encoder)
    shutil.copy(library / "catalog.sqlite", kept)
    write_stand_in(stand_ins / "new.mp4", 7)
    index_videos(library, [stand_ins], encoder)
    (stand_ins / "new.mp4").unlink()
    (stand_ins / "4.mp4").unlink()
    write_stand_in(stand_ins / "newer.mp4", 8)
    index_videos(library, [stand_ins], encoder)
    shutil.copy(kept, library / "catalog.sqlite")
    with pytest.raises(LibraryError, match="does not know the live generation 000004"):
        Library.open(library)
    with pytest.raises(LibraryError, match="does not know the live generation 000004"):
        index_videos(library, [stand_ins], encoder)
    assert any("does not know the live generation" in problem.detail for problem in verify_library(library))
    report = repair_library(library, lambda: encoder)
    assert report.lost == [], "the generation before has the vectors of 4.mp4"
    assert [problem.detail for problem in verify_library(library)] == [f"{stand_ins / '4.mp4'} is gone."]
    after = index_videos(library, [stand_ins], encoder)
    assert (after.indexed, after.removed) == (1, 1)
    assert own_vectors(library)
    assert verify_library(library) == []


def test_older_generations_are_refused_and_repaired(
    tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"
    index_videos(library, [stand_ins], encoder)
    shutil.copytree(library, tmp_path / "kept")
    write_stand_in(stand_ins / "new.mp4", 7)
    write_stand_in(stand_ins / "newer.mp4", 40)
    index_videos(library, [stand_ins], encoder)
    shutil.rmtree(library / "generations")
    shutil.copytree(tmp_path / "kept" / "generations", library / "generations")
    shutil.copy(tmp_path / "kept" / "CURRENT", library / "CURRENT")
    with pytest.raises(LibraryError, match="belongs to generation 000003, but 000002 is live"):
        Library.open(library)
    monkeypatch.setattr(library_repair, "BLOCK", 1)
    report = repair_library(library, lambda: encoder)
    assert (report.encoded, report.lost) == (2, [])
    assert verify_library(library) == []
    assert own_vectors(library)


def test_the_next_generation_holds_what_the_catalogue_lists(
    tmp_path: Path, stand_ins: Path, encoder: FakeEncoder
) -> None:
    """Whatever it is told that the live one has."""
    index_videos(tmp_path / "lib", [stand_ins], encoder)
    with (
        Library.open(tmp_path / "lib") as library,
        closing(CatalogWriter(library.catalog.path, encoder.spec.levels)) as writer,
    ):
        ids = library.current().clips.ids
        (video,) = library.catalog.list_videos(words=["3"])
        writer.remove_videos([video.id], 3)
        writer.stage_again("clips", (ids[:1], library.current().clips.vectors(ids[:1])))
        wanted = writer.live_ids("clips")
        assert 0 < len(wanted) < len(ids)
        for published in (ids, wanted, wanted[1:], wanted[2:], ids[:0], np.append(ids, 1000)):
            assert np.array_equal(writer.live_ids("clips", published), wanted)


def test_another_librarys_catalogue_is_refused(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    for name in ("one", "two"):
        index_videos(tmp_path / name, [stand_ins], encoder)
    shutil.copy(tmp_path / "one" / "catalog.sqlite", tmp_path / "two" / "catalog.sqlite")
    with pytest.raises(LibraryError, match="belongs to another library"):
        Library.open(tmp_path / "two")
    with pytest.raises(LibraryError, match="belongs to another library"):
        repair_library(tmp_path / "two", lambda: encoder)


@pytest.mark.parametrize("cut", ["write_generation", "replace_file", "settle"])
def test_a_removal_that_was_cut_short_is_finished(
    tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    library, gone = tmp_path / "lib", stand_ins / "3.mp4"
    index_videos(library, [stand_ins], encoder)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(LibraryError, match="Free space"):
        patch.setattr(generation_swap, cut, full)
        remove_videos(library, [gone])
    if cut != "settle":
        assert any("was removed but is still in the index" in problem.detail for problem in verify_library(library))
    assert remove_videos(library, [gone]).removed == 1
    index_videos(library, [stand_ins / "1.mp4"], encoder)
    assert verify_library(library) == []
    with Library.open(library) as opened:
        assert len(opened.current().clips) == opened.catalog.counts().clips == 4


def test_a_file_whose_vectors_are_not_finite_is_refused_alone(tmp_path: Path, stand_ins: Path) -> None:
    report = index_videos(tmp_path / "lib", [stand_ins], Faulty())
    assert [(failure.path.name, failure.reason) for failure in report.refused] == [("2.mp4", "model-fault")]
    assert "NaN or infinity for the clip from 0.000 s to 1.000 s" in report.refused[0].detail
    assert (report.indexed, report.clips_total) == (4, 10)
    again = index_videos(tmp_path / "lib", [stand_ins], Faulty())
    assert (again.unchanged, len(again.refused)) == (4, 1)


def test_a_long_file_with_one_bad_clip_is_refused_whole(
    tmp_path: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.pipeline.local_pipeline.PART", 2)

    class FaultyAtFive(FakeEncoder):
        def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
            vectors = super().encode_clips(clips)
            for row, frames in enumerate(clips):
                if frames[0, 0, 0, 2] == 100 and frames[0, 0, 0, 0] == 120:
                    vectors["global"][row] = np.nan
            return vectors

    report = index_videos(tmp_path / "lib", [stand_ins], FaultyAtFive())
    assert [failure.path.name for failure in report.refused] == ["3.mp4"]
    assert "from 5.000 s" in report.refused[0].detail
    with Library.open(tmp_path / "lib") as opened:
        assert (opened.catalog.counts().clips, opened.catalog.counts().unfinished) == (4, 0)


def test_what_an_earlier_version_staged_is_refused_when_it_is_published(
    tmp_path: Path, stand_ins: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("indexer.pipeline.local_pipeline.finite_rows", lambda vectors: np.ones(1, np.bool_))
        report = index_videos(tmp_path / "lib", [stand_ins], Faulty())
    assert [failure.path.name for failure in report.refused] == ["2.mp4"]
    assert report.clips_total == 10
    assert verify_library(tmp_path / "lib") == []


def test_captions_whose_vectors_are_not_finite_are_named(tmp_path: Path, stand_ins: Path) -> None:
    index_videos(tmp_path / "lib", [stand_ins], Faulty())
    (tmp_path / "texts.txt").write_text("one\nbroken\ntwo\n")
    report = add_captions(tmp_path / "lib", tmp_path / "texts.txt", Faulty())
    assert (report.added, report.total, list(report.refused)) == (2, 2, ["broken"])


def test_a_long_run_publishes_as_it_goes(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    seen = []

    def look(_: object) -> None:
        if (tmp_path / "lib" / "CURRENT").exists():
            with Library.open(tmp_path / "lib") as opened:
                seen.append(len(opened.current().clips))

    index_videos(tmp_path / "lib", [stand_ins], encoder, on_progress=look, publish_every=1e-9)
    assert seen[-1] > 0, "clips should be searchable before the run has ended"
    assert own_vectors(tmp_path / "lib")


def test_publishing_takes_a_twentieth_of_a_run_at_most() -> None:
    now, published = [0.0], []

    def publish() -> None:
        published.append(now[0])
        now[0] += 30

    timer = PublishTimer(10, publish, lambda: now[0])
    for _ in range(700):
        timer.look()
        now[0] += 1
    assert published == [10.0, 640.0]
    never = PublishTimer(0, publish, lambda: now[0])
    now[0] += 1e6
    never.look()
    assert len(published) == 2
