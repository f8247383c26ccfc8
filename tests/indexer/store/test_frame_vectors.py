"""Vectors of single frames in a library: stored, added to, removed, changed to and given up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.storage.stand_in_videos import StandInPool, write_stand_in
from indexer.ingest.index_run import index_videos
from indexer.search.vectors.gallery import Gallery
from indexer.store import segment_plan
from indexer.store.library import Library
from indexer.store.management import remove_videos
from indexer.store.manifest import format_of
from indexer.store.publishing import encode_again
from indexer.store.verification import verify_library
from indexer.texts.captions import add_captions
from model.fake_encoder import FakeEncoder
from model.levels import FRAMES
from quartet.errors import InputError


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder(frames=True)


@pytest.fixture(params=["written again", "added to"])
def library(
    tmp_path: Path,
    stand_ins: Path,
    encoder: FakeEncoder,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """One whose galleries grow in either way."""
    if request.param == "added to":
        monkeypatch.setattr(segment_plan, "_SMALL", 1)
        monkeypatch.setattr(segment_plan, "_TIER", 1)
    index_videos(tmp_path / "lib", [stand_ins], encoder, frame_vectors=True)
    return tmp_path / "lib"


def gallery_of(library: Path) -> Gallery:
    with Library.open(library) as opened:
        return opened.current().clips


def require_own_frames(library: Path, encoder: FakeEncoder) -> int:
    """Every clip has the vectors of its own frames. Returns how many clips that are."""
    with Library.open(library) as opened:
        clips = opened.current().clips
        listed = opened.catalog.clips(clips.ids.tolist())
        for item in clips.ids.tolist():
            shown = [clip.clip.frames for clip in StandInPool().clips(listed[item].path, encoder.spec.frames_per_clip)]
            expected = encoder.encode_clips([shown[int(listed[item].start)]])[FRAMES][0]
            (stored,) = clips.frame_rows(clips.positions([item]))
            np.testing.assert_array_equal(stored.reshape(-1), expected)
            assert expected.any()
        assert verify_library(library) == []
        return len(clips)


def test_every_clip_keeps_its_frames_while_the_library_lives(
    library: Path, stand_ins: Path, encoder: FakeEncoder, tmp_path: Path
) -> None:
    with Library.open(library) as opened:
        assert opened.current().manifest.format_version == format_of(encoder.spec.frames)
        assert opened.current().manifest.frames == encoder.spec.frames
        assert opened.current().captions.frames is None
    first = require_own_frames(library, encoder)
    write_stand_in(stand_ins / "later.mp4", 40)
    index_videos(library, [stand_ins], encoder)
    assert require_own_frames(library, encoder) == first + 1
    (tmp_path / "texts.txt").write_text("a dog running\n")
    add_captions(library, tmp_path / "texts.txt", encoder)
    remove_videos(library, [stand_ins / "1.mp4"])
    assert require_own_frames(library, encoder) == first
    encode_again(library, approximate_from=1_000)
    assert require_own_frames(library, encoder) == first


def test_removed_frames_are_in_no_file(library: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    clips = gallery_of(library)
    with Library.open(library) as opened:
        (video,) = opened.catalog.list_videos(words=["1"])
        (clip,) = opened.catalog.list_clips(video_id=video.id)
    trace = clips.frame_rows(clips.positions([clip.id])).tobytes()

    def holding() -> list[Path]:
        return [path for path in library.rglob("*") if path.is_file() and trace in path.read_bytes()]

    assert holding()
    remove_videos(library, [stand_ins / "1.mp4"], erase_now=True)
    assert holding() == []


def test_a_library_without_frames_keeps_none(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    index_videos(tmp_path / "lib", [stand_ins], encoder)
    write_stand_in(stand_ins / "later.mp4", 40)
    index_videos(tmp_path / "lib", [stand_ins], encoder)
    assert gallery_of(tmp_path / "lib").frames is None
    assert not list((tmp_path / "lib").rglob("frames.npy"))


def test_frames_come_to_a_library_and_leave_it(tmp_path: Path, stand_ins: Path, encoder: FakeEncoder) -> None:
    library = tmp_path / "lib"
    index_videos(library, [stand_ins], encoder)
    before = gallery_of(library)
    report = index_videos(library, [stand_ins], encoder, frame_vectors=True)
    assert report.change is not None and report.change.done
    assert report.change.clips == len(before) == require_own_frames(library, encoder)
    again = index_videos(library, [stand_ins], encoder, frame_vectors=True)
    assert again.change is None and again.generation == report.generation
    without = index_videos(library, [stand_ins], encoder, frame_vectors=False)
    assert without.change is not None and without.change.done
    assert without.change.clips == 0, "the levels are there already"
    after = gallery_of(library)
    assert after.frames is None
    for name, rows in before.vectors(before.ids).items():
        np.testing.assert_array_equal(after.vectors(after.ids)[name], rows)


def test_another_model_keeps_frames_too(library: Path, stand_ins: Path) -> None:
    other = FakeEncoder(seed=2, frames=True)
    report = index_videos(library, [stand_ins], other, to_model=True)
    assert report.change is not None and report.change.done
    require_own_frames(library, other)


def test_a_model_without_frames_is_refused(library: Path, stand_ins: Path, tmp_path: Path) -> None:
    plain = FakeEncoder(seed=2)
    with pytest.raises(InputError, match="fake-2 has no vectors of single frames"):
        index_videos(tmp_path / "new", [stand_ins], plain, frame_vectors=True)
    with pytest.raises(InputError, match="--no-frame-vectors"):
        index_videos(library, [stand_ins], plain, to_model=True)
    report = index_videos(library, [stand_ins], plain, to_model=True, frame_vectors=False)
    assert report.change is not None and report.change.done
    assert gallery_of(library).frames is None
