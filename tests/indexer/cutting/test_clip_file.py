"""Clips as files of their own: read back, frame by frame."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from indexer.cutting.clip_file import write_clip
from indexer.media.clip_reader import read_clips
from quartet.errors import InputError

RATE, FRAMES = 10, 60


def film(path: Path, *, options: dict[str, str], sound: bool = False) -> Path:
    """Six seconds, a key frame each; every frame shows its number as bars, black or white for each bit."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=RATE, options={"g": "10", "crf": "10", **options})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = output.add_stream("aac", rate=48000, layout="mono") if sound else None
        for i in range(FRAMES):
            picture = np.repeat(np.repeat(bits(i)[None] * 235, 16, 1), 64, 0)[..., None].repeat(3, 2).astype(np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))
        if audio is not None:
            wave = np.sin(np.arange(48000 * FRAMES // RATE) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, 0
            output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
    return path


def bits(number: int) -> np.ndarray:
    return (number >> np.arange(6)) & 1


def shown(path: Path) -> list[int]:
    """The numbers of the frames that a file shows, read off their bars."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [int(((picture[32, 8::16, 0] > 128) << np.arange(6)).sum()) for picture in pictures]


CLOSED = {"bf": "0", "sc_threshold": "0"}
REORDERED = {"bf": "2", "sc_threshold": "0", "x264-params": "open-gop=1"}


@pytest.mark.parametrize(
    ("options", "suffix", "start", "end", "frames", "copied"),
    [
        (CLOSED, ".mp4", 2.0, 4.0, range(20, 40), True),
        (CLOSED, ".mkv", 2.0, 3.5, range(20, 35), True),
        (CLOSED, ".mp4", 2.3, 4.0, range(23, 40), False),
        # In the middle of a frame: the one on screen.
        (CLOSED, ".mp4", 2.35, 2.51, range(23, 26), False),
        (CLOSED, ".mp4", 5.0, 99.0, range(50, 60), True),
        (REORDERED, ".mp4", 2.1, 3.9, range(21, 39), False),
    ],
)
def test_shows_these_frames_and_no_others(
    tmp_path: Path, options: dict[str, str], suffix: str, start: float, end: float, frames: range, copied: bool
) -> None:
    source = film(tmp_path / f"film{suffix}", options=options)
    written = write_clip(source, start, end, tmp_path / "clip.x")
    assert shown(written.path) == list(frames)
    assert written.copied is copied
    assert (written.start, written.end) == pytest.approx((frames[0] / RATE, (frames[-1] + 1) / RATE))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, written.path.name])
    (clip,) = read_clips(written.path, 4)
    assert clip.info.duration == pytest.approx(len(frames) / RATE, abs=0.5 / RATE)


def test_where_copying_would_show_other_frames_it_encodes(tmp_path: Path) -> None:
    """Whatever the structure of the file: what is shown is right."""
    source = film(tmp_path / "film.mp4", options=REORDERED)
    for start, end in ((1.0, 2.0), (2.0, 2.4), (1.0, 3.3)):
        written = write_clip(source, start, end, tmp_path / "clip.mp4")
        assert shown(written.path) == list(range(round(start * RATE), round(end * RATE)))


@pytest.mark.parametrize("encode", [True, False])
def test_with_its_sound(tmp_path: Path, encode: bool) -> None:
    source = film(tmp_path / "film.mp4", options=CLOSED, sound=True)
    written = write_clip(source, 2.0, 4.0, tmp_path / "clip.mp4", encode=encode)
    assert written.copied is not encode
    with av.open(str(written.path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / 48000 == pytest.approx(2.0, abs=0.1)
    assert shown(written.path) == list(range(20, 40))


def test_a_stretch_that_the_video_does_not_have(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", options=CLOSED)
    for start, end in ((6.0, 8.0), (3.0, 3.0), (-2.0, -1.0)):
        with pytest.raises(InputError, match="the video has no part"):
            write_clip(source, start, end, tmp_path / "clip.mp4")
