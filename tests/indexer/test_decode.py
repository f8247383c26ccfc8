"""Sampling frames: the right ones, at the right times, or a reason."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from indexer.decode import SHORT_SIDE, sample_frames
from model.errors import InputError, VideoError

MakeVideo = Callable[..., Path]

SHARED = Path(__file__).parents[2] / ".." / "shared" / "videos"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real videos is not here")

REFUSED = {
    "manifest.csv": "not-a-video",
    "mp4parser__count-english-audio.mp4": "no-video-stream",
    "pixeltable__bad_video.mp4": "not-a-video",
    "streamio-ffmpeg__broken.mp4": "truncated",
    "streamio-ffmpeg__empty.flv": "truncated",
    "torchcodec__nasa_13013.mp4.audio.mp3": "no-video-stream",
}


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
    with pytest.raises(InputError, match="no part of the video from 7 s"):
        sample_frames(path, 1, start=7.0)


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
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    Image.new("RGB", (32, 32), (9, 9, 9)).save(tmp_path / "picture.png")
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


@needs_shared
def test_every_real_file_is_decoded_or_refused_with_its_reason() -> None:
    refusals = {}
    with (SHARED / "manifest.csv").open(newline="", encoding="utf-8") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    for path in sorted(SHARED.iterdir()):
        try:
            clip = sample_frames(path, 3)
        except VideoError as error:
            refusals[path.name] = error.reason
            continue
        row = manifest[path.name]
        turned = row["rotation"] in ("90", "-90")
        size = (int(row["height"]), int(row["width"])) if turned else (int(row["width"]), int(row["height"]))
        assert 1 <= len(clip.frames) == len(clip.times) <= 3
        assert (np.diff(clip.times) > 0).all()
        assert 0 <= clip.times[0] <= clip.times[-1] < clip.info.duration
        # This file has two video streams, and FFmpeg's best one is not the one in the manifest.
        if path.name != "torchcodec__nasa_13013.mp4":
            assert (clip.info.width, clip.info.height) == size, path.name
            assert clip.info.frames == pytest.approx(int(row["frames_decoded"]), abs=1), path.name
    assert refusals == REFUSED


@needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "decord__video_90.mov",
        "decord__video_180.mov",
        "decord__video_270.mov",
        "media__sample_h263.ts",
        "mmaction2__part_0.mp4",
        "mmaction2__demo_spatiotemporal_det.mp4",
        "streamio-ffmpeg__sideways movie.mov",
        "streamio-ffmpeg__weird_aspect.small.mpg",
        "torchcodec__av1_video.mkv",
        "torchcodec__nasa_13013_hdr.mp4",
        "torchcodec__sine_stereo_mp2.mpg",
        "torchcodec__testsrc2_odd_width_vp9.mp4",
    ],
)
def test_frames_equal_those_of_a_plain_decoder_at_the_same_times(name: str) -> None:
    clip = sample_frames(SHARED / name, 4)
    with av.open(str(SHARED / name)) as container:
        frames = list(container.decode(container.streams.best("video")))
    times = np.array([frame.time for frame in frames]) - frames[0].time
    for picture, time in zip(clip.frames, clip.times, strict=True):
        frame = frames[int(np.abs(times - time).argmin())]
        expected = Image.fromarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))
        expected = expected.resize((picture.shape[1], picture.shape[0]), Image.Resampling.BILINEAR)
        # Mean difference in grey levels; another frame of these files differs by 5 and more.
        assert np.abs(np.asarray(expected).astype(int) - picture).mean() < 1.0
