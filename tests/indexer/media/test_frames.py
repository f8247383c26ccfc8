"""Frames at their times, out of every sort of file: exact, and without decoding what is between."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from indexer.media.clip_reader import sample_frames
from indexer.media.frames import FrameReader
from indexer.media.header import read_header
from indexer.media.timeline import read_timeline
from quartet.errors import VideoError

BITS = 9
BOX = 16


def picture_of(number: int) -> np.ndarray:
    """A picture that says its number in bars, white for a set bit."""
    picture = np.full((BOX * 2, BOX * BITS, 3), 16, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, bit * BOX : (bit + 1) * BOX] = 235
    return picture


def number_of(picture: np.ndarray) -> int:
    bars = picture.reshape(picture.shape[0], BITS, BOX, 3).mean(axis=(0, 2, 3))
    return sum(1 << bit for bit in range(BITS) if bars[bit] > 128)


def write_numbers(
    path: Path,
    count: int = 200,
    codec: str = "libx264",
    rate: int = 25,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    times: Sequence[float] | None = None,
) -> Path:
    """A file of numbered frames; `times` in seconds where they do not follow each other evenly."""
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = BOX * BITS, BOX * 2, pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture_of(i), format="rgb24")
            if times is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[i])
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


KINDS: dict[str, dict[str, object]] = {
    "a.mp4": {"options": {"g": "25", "preset": "ultrafast", "bf": "2"}},
    "open-gop.mp4": {"options": {"g": "25", "preset": "veryfast", "bf": "3", "x264-params": "open-gop=1"}},
    "a.mkv": {"options": {"g": "25", "preset": "ultrafast", "bf": "2"}},
    "live.mkv": {"options": {"g": "25", "preset": "ultrafast"}, "container": {"live": "1"}},
    "a.ts": {"options": {"g": "25", "preset": "ultrafast", "bf": "2"}},
    "a.flv": {"options": {"g": "25", "preset": "ultrafast"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "15", "bf": "2", "b": "4000000"}},
    "a.avi": {"codec": "mpeg4", "options": {"g": "25", "b": "4000000"}},
    "10-bit.mp4": {"pixels": "yuv420p10le", "options": {"g": "25", "preset": "ultrafast", "bf": "2"}},
}
WITHOUT_INDEX = {"live.mkv"}


@pytest.mark.parametrize("name", KINDS)
def test_seeks_and_still_finds_the_very_frames(tmp_path: Path, name: str) -> None:
    path = write_numbers(tmp_path / name, **KINDS[name])  # type: ignore[arg-type]
    header = read_header(path)
    timeline = read_timeline(path, header)
    assert len(timeline.stamps) == 200
    assert timeline.duration == pytest.approx(8.0, abs=0.05)
    read: list[None] = []
    wanted = np.array([7, 8, 123, 124, 190])
    with FrameReader(path, header, timeline, lambda: read.append(None)) as reader:
        pictures = list(reader.at(wanted))
    assert [number_of(picture.pixels) for picture in pictures] == wanted.tolist()
    assert [picture.time for picture in pictures] == pytest.approx(wanted / 25, abs=0.002)
    # Three groups of pictures hold them all, of eight or more in the file.
    assert name in WITHOUT_INDEX or len(read) < 100


def test_every_frame_in_order(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.mp4", 60, options={"bf": "3"})
    header = read_header(path)
    with FrameReader(path, header, read_timeline(path, header)) as reader:
        pictures = list(reader.through())
    assert [number_of(picture.pixels) for picture in pictures] == list(range(60))
    assert [picture.time for picture in pictures] == pytest.approx(np.arange(60) / 25)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_variable_frame_rates_do_not_shift_the_times(tmp_path: Path, name: str) -> None:
    # Ten frames a second, then one a second, then twenty-five.
    times = np.concatenate([np.arange(40) / 10, 4 + np.arange(10), 14 + np.arange(50) / 25])
    path = write_numbers(tmp_path / name, 100, times=times.tolist(), options={"g": "20", "bf": "2"})
    clip = sample_frames(path, 16)
    assert clip.info.duration == pytest.approx(16.0, abs=0.1)
    middles = (np.arange(16) + 0.5) * clip.info.duration / 16
    expected = np.unique(np.searchsorted(times, middles, side="right") - 1)
    assert [number_of(picture) for picture in clip.frames] == expected.tolist()
    assert clip.times == pytest.approx(times[expected], abs=0.002)


def test_times_that_are_out_of_order_are_counted_instead(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    # Two recordings joined as files: the clock of the second one begins again.
    parts = [write_numbers(tmp_path / f"{i}.ts", 50, options={"g": "25"}).read_bytes() for i in range(2)]
    path.write_bytes(b"".join(parts))
    clip = sample_frames(path, 4)
    assert clip.info.duration == pytest.approx(4.0, abs=0.1)
    assert [number_of(picture) for picture in clip.frames] == [12, 37, 12, 37]
    assert clip.times == pytest.approx([0.48, 1.48, 2.48, 3.48], abs=0.05)


def test_a_file_without_times(tmp_path: Path) -> None:
    """H.264 as it leaves the encoder, and MPEG-4 with reordered frames in AVI, have an order and no times."""
    raw = write_numbers(tmp_path / "a.h264", 100, options={"g": "25", "bf": "2"})
    old = write_numbers(tmp_path / "a.avi", 100, codec="mpeg4", options={"g": "25", "bf": "2", "b": "4000000"})
    for path in (raw, old):
        clip = sample_frames(path, 4)
        assert clip.info.duration == pytest.approx(4.0), path.name
        assert [number_of(picture) for picture in clip.frames] == [12, 37, 62, 87], path.name
        assert clip.times == pytest.approx([0.48, 1.48, 2.48, 3.48]), path.name


def test_a_container_that_takes_every_frame_for_a_key_frame(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.mp4", options={"g": "100", "preset": "ultrafast"})
    content = path.read_bytes()
    assert content.count(b"stss") == 1
    path.write_bytes(content.replace(b"stss", b"free"))
    assert [number_of(picture) for picture in sample_frames(path, 2).frames] == [50, 150]


def test_frames_that_cannot_be_decoded_leave_the_one_before_on_screen(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.avi", 100, codec="mjpeg", pixels="yuvj420p")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spoilt = [(packet.pos, packet.size) for packet in container.demux() if packet.size][50:53]
    for position, size in spoilt:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    header = read_header(path)
    with FrameReader(path, header, read_timeline(path, header)) as reader:
        pictures = list(reader.at(np.array([49, 50, 51, 60])))
    assert [number_of(picture.pixels) for picture in pictures] == [49, 49, 49, 60]
    assert [picture.time for picture in pictures] == pytest.approx([1.96, 1.96, 1.96, 2.4])


CORNERS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))
"""Of the picture as it is stored: above left and right, below left and right."""

# Per display matrix (a, b, c, d): which corner is shown above left and right, below left and right.
MATRICES = {
    "as it is": ((1, 0, 0, 1), (0, 1, 2, 3)),
    "mirrored": ((-1, 0, 0, 1), (1, 0, 3, 2)),
    "upside down": ((1, 0, 0, -1), (2, 3, 0, 1)),
    "half a turn": ((-1, 0, 0, -1), (3, 2, 1, 0)),
    "a quarter clockwise": ((0, 1, -1, 0), (2, 0, 3, 1)),
    "a quarter anticlockwise": ((0, -1, 1, 0), (1, 3, 0, 2)),
    "swapped": ((0, 1, 1, 0), (0, 2, 1, 3)),
    "swapped and half a turn": ((0, -1, -1, 0), (3, 1, 2, 0)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_pictures_are_turned_and_mirrored_as_they_are_shown(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.mp4"
    picture = np.zeros((32, 64, 3), np.uint8)
    for i, colour in enumerate(CORNERS):
        picture[16 * (i // 2) :, 32 * (i % 2) :] = colour
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv444p"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    (a, b, c, d), expected = MATRICES[name]
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix is 40 bytes after the type of a track header box of version 0.
    numbers = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, *numbers)
    path.write_bytes(content)
    clip = sample_frames(path, 1)
    shown = clip.frames[0]
    height, width = shown.shape[:2]
    assert (clip.info.width, clip.info.height) == (width, height) == ((64, 32) if a else (32, 64))
    found = [shown[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    assert [int(np.abs(np.array(CORNERS) - pixel.astype(int)).sum(axis=1).argmin()) for pixel in found] == [*expected]


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.avi", "a.mp4"])
def test_a_file_that_was_cut_short_is_told_from_a_short_one(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = write_numbers(tmp_path / name, codec=codec, container=container)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError) as caught:
        sample_frames(path, 4)
    assert caught.value.reason == "truncated"
