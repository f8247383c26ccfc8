"""One clock: times are those of the player and of subtitles, whatever the container's first stamp is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.media.clip_reader import SampledClip, read_clips, sample_frames
from indexer.media.frames import FrameReader
from indexer.media.header import read_header
from indexer.media.segmentation import Segmentation
from indexer.media.timeline import read_timeline
from quartet.errors import VideoError
from tests.indexer.media.films import BLUE, GREEN, RED, colour_of, join, write_film

CASES = Path(__file__).parents[3] / ".." / "shared" / "cases" / "media"
HOURS_10 = 36_000.0


def whole(path: Path, count: int = 3) -> SampledClip:
    (clip,) = read_clips(path, count)
    return clip


def spans(path: Path, kind: str) -> list[tuple[float, float]]:
    return [tuple(clip.span) for clip in read_clips(path, 2, Segmentation(kind))]  # type: ignore[arg-type]


def near(pairs: list[tuple[float, float]], within: float = 0.005) -> object:
    return [pytest.approx(pair, abs=within) for pair in pairs]


@pytest.mark.parametrize("first", [0.0, 0.8, 8.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_times_are_those_of_the_container_where_it_has_a_zero(tmp_path: Path, suffix: str, first: float) -> None:
    path = write_film(tmp_path / f"v{suffix}", first)
    clip = whole(path)
    assert clip.info.duration == pytest.approx(6.0, abs=0.005)
    assert clip.info.frames == 150
    assert clip.span == pytest.approx((first, first + 6), abs=0.005)
    assert clip.times == pytest.approx([first + 1, first + 3, first + 5], abs=0.005)
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, GREEN]
    assert spans(path, "shot") == near([(first + at, first + at + 2) for at in (0, 2, 4)])
    assert spans(path, "window") == near([(first, first + 6)])
    part = sample_frames(path, 1, start=first + 2, end=first + 4)
    assert colour_of(part.frames[0]) == BLUE


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts"])
def test_pictures_that_begin_after_the_sound(tmp_path: Path, suffix: str) -> None:
    clip = whole(write_film(tmp_path / f"v{suffix}", first=1.5, sound=(0.0, 8.0)))
    # The sound of a codec that needs a run-up begins a few hundredths of a second before its zero.
    assert clip.span == pytest.approx((1.5, 7.5), abs=0.03)
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, GREEN]


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mpg"])
def test_where_a_clock_has_no_zero_it_begins_with_the_file(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else None
    assert spans(write_film(tmp_path / f"v{suffix}", 5_000.0, codec=codec), "shot") == near([(0, 2), (2, 4), (4, 6)])


def test_a_transport_stream_whose_33_bits_wrap(tmp_path: Path) -> None:
    clip = whole(write_film(tmp_path / "v.ts", first=2**33 / 90_000 - 4.3))
    assert clip.span == pytest.approx((0.0, 6.0))
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, GREEN]


def test_a_late_matroska_file_that_is_really_cut_is_refused(tmp_path: Path) -> None:
    for first in (0.0, 8.0, 1000.0):
        path = write_film(tmp_path / f"{first}.mkv", first, options={"crf": "1"})
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(VideoError) as caught:
            whole(path)
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize(
    "starts", [(0.0, HOURS_10), (HOURS_10, 0.0), (0.0, 0.0), (10.0, 3.0)], ids=["on", "back", "again", "a little back"]
)
@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_a_clock_that_jumps_is_no_video(tmp_path: Path, suffix: str, starts: tuple[float, float]) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else None
    parts = [write_film(tmp_path / f"{i}{suffix}", first, codec=codec) for i, first in enumerate(starts)]
    path = join(tmp_path / f"joined{suffix}", *parts)
    clip = whole(path, 6)
    assert clip.info.duration == pytest.approx(12.0, abs=0.05)
    assert clip.times == pytest.approx([1, 3, 5, 7, 9, 11], abs=0.05)
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, GREEN] * 2
    assert spans(path, "shot") == near([(at, at + 2) for at in range(0, 12, 2)], 0.05)
    assert spans(path, "window") == near([(0, 10), (2, 12)], 0.05)


def test_several_jumps_with_sound(tmp_path: Path) -> None:
    starts = (0.0, 7_200.0, 100.0, 100.0, HOURS_10)
    parts = [write_film(tmp_path / f"{i}.ts", at, sound=(at, at + 6)) for i, at in enumerate(starts)]
    clip = whole(join(tmp_path / "joined.ts", *parts), 15)
    assert clip.info.duration == pytest.approx(30.0, abs=0.2)
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, GREEN] * 5


def test_a_file_whose_clock_jumps_ahead_is_still_searched(tmp_path: Path) -> None:
    parts = [write_film(tmp_path / f"{i}.ts", at) for i, at in enumerate((0.0, HOURS_10, 2 * HOURS_10))]
    path = join(tmp_path / "joined.ts", *parts)
    header = read_header(path)
    timeline = read_timeline(path, header)
    read: list[None] = []
    with FrameReader(path, header, timeline, lambda: read.append(None)) as reader:
        first, last = reader.at(np.array([60, 440]))
    assert (colour_of(first.pixels), colour_of(last.pixels)) == (BLUE, GREEN)
    assert last.time == pytest.approx(17.6)
    assert len(read) < 200


def test_a_picture_that_stands_while_the_sound_goes_on_is_no_jump(tmp_path: Path) -> None:
    times = [i / 25 for i in range(50)] + [20 + i / 25 for i in range(50)]
    path = write_film(tmp_path / "v.ts", sound=(0.0, 22.0), colours=(RED, BLUE), times=times)
    assert whole(path).info.duration == pytest.approx(22.0, abs=0.1)


@pytest.mark.parametrize(("pause", "duration"), [(60.0, 64.0), (2 * 3600.0, 4.0)])
def test_a_pause_and_a_jump_in_matroska(tmp_path: Path, pause: float, duration: float) -> None:
    """Slides may stand for minutes; nothing happens for hours only where a clock was set."""
    times = [i / 25 for i in range(50)] + [2 + pause + i / 25 for i in range(50)]
    path = write_film(tmp_path / "v.mkv", colours=(RED, BLUE), times=times, options={"bf": "0"})
    assert whole(path).info.duration == pytest.approx(duration, abs=0.1)


def test_frames_that_an_edit_list_leaves_out(tmp_path: Path) -> None:
    # What begins before zero is cut off by the list.
    clip = whole(write_film(tmp_path / "v.mp4", first=-1.0, options={"bf": "0"}), 5)
    assert clip.span == pytest.approx((0.0, 5.0), abs=0.01)
    assert [colour_of(picture) for picture in clip.frames] == [RED, BLUE, BLUE, GREEN, GREEN]


def test_the_frame_rate_is_measured_where_the_header_is_wrong(tmp_path: Path) -> None:
    times = [i / 10 for i in range(20)] + [2 + i / 60 for i in range(120)] + [4 + i / 24 for i in range(48)]
    for suffix in (".mkv", ".mp4"):
        path = write_film(tmp_path / f"v{suffix}", times=times)
        assert whole(path).info.fps == pytest.approx(188 / 6, abs=1.0), suffix
    even = whole(write_film(tmp_path / "even.mkv"))
    assert even.info.fps == 25.0


@pytest.mark.skipif(not CASES.is_dir(), reason="the collection of cases is not here")
@pytest.mark.parametrize(
    ("name", "first"), [("starts-at-8s.mkv", 8.0), ("starts-at-8s.webm", 8.0), ("starts-at-0.8s.mkv", 0.8)]
)
def test_the_cases_that_start_late(name: str, first: float) -> None:
    assert whole(CASES / name).info.duration == pytest.approx(6.0)
    assert spans(CASES / name, "shot") == near([(first, first + 2), (first + 2, first + 4), (first + 4, first + 6)])


@pytest.mark.skipif(not CASES.is_dir(), reason="the collection of cases is not here")
def test_the_case_whose_clock_jumps() -> None:
    path = CASES / "clock-jumps-10h.ts"
    assert whole(path).info.duration == pytest.approx(12.0)
    assert len(spans(path, "shot")) == 6
    assert len(spans(path, "window")) == 2
