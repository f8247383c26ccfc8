"""Libraries of parts of files: windows and shots, each a clip with its time, its vectors and its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.ingest.index_run import index_videos
from indexer.media.clip_reader import sample_frames
from indexer.media.segmentation import Segmentation
from indexer.search.top_k import search
from indexer.store.library import Library
from indexer.texts.captions import add_captions
from model.encoder import Frames
from model.fake_encoder import FakeEncoder
from model.levels import Vectors
from quartet.errors import NotFoundError

MakeVideo = Callable[..., Path]
Colours = Sequence[tuple[int, int, int]]


@pytest.fixture
def film(tmp_path: Path, make_video: MakeVideo, colours: Colours) -> Path:
    """Three shots of one, two and three seconds."""
    frames = [colours[0]] * 10 + [colours[17]] * 20 + [colours[3]] * 30
    return make_video(tmp_path / "videos" / "film.mp4", frames)


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        (Segmentation(), [(0, 6)]),
        (Segmentation("window", window=2.0, overlap=0.0), [(0, 2), (2, 4), (4, 6)]),
        (Segmentation("shot"), [(0, 1), (1, 3), (3, 6)]),
    ],
    ids=["whole", "window", "shot"],
)
def test_each_part_is_a_clip(
    tmp_path: Path, film: Path, encoder: FakeEncoder, segmentation: Segmentation, expected: list[tuple[int, int]]
) -> None:
    report = index_videos(tmp_path / "lib", [film.parent], encoder, segmentation=segmentation)
    assert (report.indexed, report.clips_total) == (1, len(expected))
    with Library.open(tmp_path / "lib") as library:
        clips = library.catalog.list_clips()
        assert [(clip.start, clip.end) for clip in clips] == [pytest.approx(span) for span in expected]
        gallery = library.current().clips
        for clip in clips:
            frames = sample_frames(film, encoder.spec.frames_per_clip, clip.start, clip.end).frames
            best = search(gallery, encoder.spec.levels, encoder.encode_clips([frames]), 1, {"global": 0.0}).hits[0]
            assert best.score == pytest.approx(1.0)
            assert best.id == clip.id
            assert library.thumbnail(clip.id).read_bytes()[8:12] == b"WEBP"
            assert library.strip(clip.id).read_bytes()[8:12] == b"WEBP"


def lengths(library: Path) -> dict[str, int]:
    """Clips per file name."""
    with Library.open(library) as opened:
        return dict(Counter(clip.path.name for clip in opened.catalog.list_clips(limit=None)))


def test_files_are_divided_again_where_another_way_is_asked_for(
    tmp_path: Path, film: Path, encoder: FakeEncoder, make_video: MakeVideo, colours: Colours
) -> None:
    library, shots = tmp_path / "lib", Segmentation("shot")
    index_videos(library, [film], encoder)
    (tmp_path / "film.txt").write_text("three colours\n")
    add_captions(library, tmp_path / "film.txt", encoder, "film.mp4")
    again = index_videos(library, [film], encoder, segmentation=shots)
    assert (again.indexed, again.recut, again.clips_total) == (1, 1, 3)
    with Library.open(library) as opened:
        assert opened.catalog.caption(1).clip_id == 2
    once_more = index_videos(library, [film], encoder, segmentation=shots)
    assert (once_more.indexed, once_more.recut, once_more.unchanged) == (0, 0, 1)
    # A file that has moved meanwhile keeps its captions too.
    moved = film.rename(film.with_name("moved.mp4"))
    windows = Segmentation("window", window=1.5, overlap=0.0)
    report = index_videos(library, [film.parent], encoder, segmentation=windows)
    assert (report.indexed, report.recut, report.removed) == (1, 1, 0)
    assert lengths(library) == {moved.name: 4}
    with Library.open(library) as opened:
        assert opened.catalog.caption(1).clip_id == 5


def test_without_a_way_files_keep_their_clips_and_new_ones_are_divided_like_their_neighbours(
    tmp_path: Path, film: Path, encoder: FakeEncoder, make_video: MakeVideo, colours: Colours
) -> None:
    library, one_colour = tmp_path / "lib", [colours[5]] * 40
    index_videos(library, [film.parent], encoder, segmentation=Segmentation("window", window=2.0, overlap=0.0))
    make_video(film.with_name("new.mp4"), one_colour)
    elsewhere = make_video(tmp_path / "more" / "elsewhere.mp4", one_colour)
    report = index_videos(library, [film.parent, elsewhere.parent], encoder)
    assert (report.indexed, report.recut, report.unchanged) == (2, 0, 1)
    assert lengths(library) == {"film.mp4": 3, "new.mp4": 2, "elsewhere.mp4": 1}
    make_video(film, [colours[2]] * 80)
    index_videos(library, [film.parent], encoder)
    assert lengths(library)["film.mp4"] == 4


class StoppingEncoder(FakeEncoder):
    """Fails after so many clips."""

    def __init__(self, clips: int = 1000) -> None:
        super().__init__()
        self.encoded = 0
        self._most = clips

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        if self.encoded + len(clips) > self._most:
            raise RuntimeError("out of luck")
        self.encoded += len(clips)
        return super().encode_clips(clips)


@pytest.mark.parametrize("segmentation", [Segmentation("window", 0.5, 0.0), Segmentation("shot")], ids=str)
def test_a_stop_in_a_long_file_costs_its_last_clips(
    tmp_path: Path, make_video: MakeVideo, colours: Colours, segmentation: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_video(tmp_path / "videos" / "film.mp4", [colour for i in range(6) for colour in [colours[3 * i]] * 10])
    library = tmp_path / "lib"
    monkeypatch.setattr("indexer.pipeline.local_pipeline.BATCH", 1)
    monkeypatch.setattr("indexer.pipeline.local_pipeline.PART", 2)
    with pytest.raises(RuntimeError, match="out of luck"):
        index_videos(library, [film], StoppingEncoder(5), segmentation=segmentation)
    with Library.open(library) as opened:
        counts = opened.catalog.counts()
        assert (counts.videos, counts.clips, counts.unfinished) == (0, 0, 4)
    encoder = StoppingEncoder()
    report = index_videos(library, [film], encoder, segmentation=segmentation)
    assert encoder.encoded == report.clips_total - 4
    index_videos(tmp_path / "calm", [film], encoder, segmentation=segmentation)
    with Library.open(library) as opened, Library.open(tmp_path / "calm") as calm:
        spans = [[(clip.start, clip.end) for clip in each.catalog.list_clips()] for each in (opened, calm)]
        assert spans[0] == spans[1]
        ids = opened.current().clips.ids
        assert np.array_equal(ids, calm.current().clips.ids)
        for level in encoder.spec.levels:
            rows = [each.current().clips.vectors(ids)[level.name] for each in (opened, calm)]
            assert np.array_equal(*rows)
        assert opened.catalog.counts().unfinished == 0
        assert all(opened.strip(int(clip)).is_file() for clip in ids)


def test_what_is_kept_of_a_file_goes_when_it_changes_or_goes(
    tmp_path: Path, make_video: MakeVideo, colours: Colours, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, windows = tmp_path / "lib", Segmentation("window", 0.5, 0.0)
    monkeypatch.setattr("indexer.pipeline.local_pipeline.BATCH", 1)
    monkeypatch.setattr("indexer.pipeline.local_pipeline.PART", 2)

    def unfinished() -> int:
        with Library.open(library) as opened:
            return opened.catalog.counts().unfinished

    def stopped() -> None:
        with pytest.raises(RuntimeError, match="out of luck"):
            index_videos(library, [film.parent], StoppingEncoder(5), segmentation=windows)

    film = make_video(tmp_path / "videos" / "film.mp4", [colours[0]] * 40)
    stopped()
    assert unfinished() == 4
    make_video(film, [colours[8]] * 50)
    stopped()
    assert unfinished() == 4
    film.write_bytes(film.read_bytes()[:200])
    make_video(film.with_name("other.mp4"), [colours[1]] * 5)
    assert len(index_videos(library, [film.parent], StoppingEncoder(), segmentation=windows).refused) == 1
    assert unfinished() == 0
    make_video(film, [colours[8]] * 50)
    stopped()
    film.unlink()
    assert index_videos(library, [film.parent], StoppingEncoder(), segmentation=windows).clips_total == 1
    assert unfinished() == 0


def test_pictures_of_clips_that_have_gone_go_too(
    tmp_path: Path, film: Path, encoder: FakeEncoder, make_video: MakeVideo, colours: Colours
) -> None:
    library_path = tmp_path / "lib"
    index_videos(library_path, [film], encoder)
    film.rename(film.with_name(".hidden"))
    make_video(film.with_name("other.mp4"), [colours[5]] * 5)
    assert index_videos(library_path, [film.parent], encoder).clips_total == 1
    make_video(film.with_name("third.mp4"), [colours[6]] * 5)
    assert index_videos(library_path, [film.parent], encoder).clips_total == 2
    # No reader can hold the first clip any more.
    with Library.open(library_path) as library, pytest.raises(NotFoundError, match="no contact strip of clip 1"):
        library.strip(1)
