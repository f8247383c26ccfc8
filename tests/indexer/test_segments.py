"""Libraries of parts of files: windows and shots, each a clip with its time, its vectors and its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from indexer.build import index_videos
from indexer.decode import sample_frames
from indexer.library import Library
from indexer.search import search
from indexer.spans import Segmentation
from model.errors import NotFoundError
from model.fake import FakeEncoder

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


def test_a_file_keeps_the_clips_that_it_has_until_it_changes(
    tmp_path: Path, film: Path, encoder: FakeEncoder, make_video: MakeVideo, colours: Colours
) -> None:
    library_path, shots = tmp_path / "lib", Segmentation("shot")
    index_videos(library_path, [film], encoder)
    assert index_videos(library_path, [film], encoder, segmentation=shots).clips_total == 1
    make_video(film, [colours[0]] * 10 + [colours[17]] * 10)
    assert index_videos(library_path, [film], encoder, segmentation=shots).clips_total == 2
    film.rename(film.with_name(".hidden"))
    make_video(film.with_name("other.mp4"), [colours[5]] * 5)
    assert index_videos(library_path, [film.parent], encoder).clips_total == 1
    film.with_name("other.mp4").touch()
    make_video(film.with_name("third.mp4"), [colours[6]] * 5)
    assert index_videos(library_path, [film.parent], encoder).clips_total == 2
    # No reader can hold the first clips any more: their pictures are gone.
    with Library.open(library_path) as library, pytest.raises(NotFoundError, match="no contact strip of clip 1"):
        library.strip(1)
