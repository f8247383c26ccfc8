"""Stills are not videos, moving pictures are, whatever the file is called and whatever holds them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from indexer.media.clip_reader import SampledClip, sample_frames
from indexer.media.decode_limits import Limits
from indexer.media.still_pictures import read_picture
from quartet.errors import VideoError
from tests.indexer.media.films import write_film

STILLS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM", "JPEG2000", "ICO")
MOVING = ("GIF", "WEBP", "AVIF", "PNG")


def pictures(count: int, size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    return [Image.new("RGB", size, (20 + 40 * i, 90, 200 - 30 * i)) for i in range(count)]


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(VideoError) as caught:
        sample_frames(path, 4)
    return caught.value.reason, caught.value.detail


def write_stream(path: Path, codec: str, count: int, size: tuple[int, int] = (64, 48), **options: object) -> Path:
    pixels = {"mjpeg": "yuvj420p", "png": "rgb24", "gif": "rgb8", "bmp": "bgr24", "tiff": "rgb24"}.get(codec, "yuv420p")
    with av.open(str(path), "w", **options) as output:  # type: ignore[arg-type]
        stream = output.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for image in pictures(count, size):
            output.mux(stream.encode(av.VideoFrame.from_image(image)))
        output.mux(stream.encode(None))
    return path


def check_five(clip: SampledClip) -> None:
    assert clip.info.frames == 5
    assert clip.frames[:, 24, 32, 0].tolist() == pytest.approx([20, 60, 100, 140, 180], abs=6)


@pytest.mark.parametrize("kind", STILLS)
def test_a_still_is_refused_as_one_whatever_its_name(tmp_path: Path, kind: str) -> None:
    (image,) = pictures(1)
    for name in ("still.mp4", f"still.{kind.lower()}", "still.jpg", "still.mkv", "still"):
        image.save(tmp_path / name, format=kind)
        reason, detail = refusal(tmp_path / name)
        assert (reason, "This is an image" in detail) == ("not-a-video", True), (name, detail)


@pytest.mark.parametrize("kind", MOVING)
def test_moving_pictures_are_a_video_whatever_their_name(tmp_path: Path, kind: str) -> None:
    first, *others = pictures(5)
    for name in ("moving.mp4", f"moving.{kind.lower()}"):
        options = {"lossless": True} if kind == "WEBP" else {}
        first.save(
            tmp_path / name,
            format=kind,
            save_all=True,
            append_images=others,
            duration=[100, 300, 100, 300, 200],
            **options,
        )
        clip = sample_frames(tmp_path / name, 10)
        check_five(clip)
        assert clip.times == pytest.approx([0.0, 0.1, 0.4, 0.5, 0.8], abs=0.01)
        assert clip.info.duration == pytest.approx(1.0, abs=0.02)


def test_raw_motion_jpeg_is_a_video_whatever_its_name(tmp_path: Path) -> None:
    for name in ("cam.mjpeg", "cam.mp4", "cam.jpg", "cam"):
        clip = sample_frames(write_stream(tmp_path / name, "mjpeg", 5, format="mjpeg"), 5)
        check_five(clip)
        # It has no times: 25 frames a second.
        assert clip.info.duration == pytest.approx(0.2)
    check_five(sample_frames(write_stream(tmp_path / "cam.mpjpeg", "mjpeg", 5, format="mpjpeg"), 5))
    check_five(sample_frames(write_stream(tmp_path / "pngs.bin", "png", 5, format="image2pipe"), 5))


def test_a_photograph_with_other_versions_of_itself_is_a_still(tmp_path: Path) -> None:
    first, second = pictures(2)
    first.save(tmp_path / "stereo.jpg", format="MPO", save_all=True, append_images=[second])
    (tmp_path / "stereo.mp4").write_bytes((tmp_path / "stereo.jpg").read_bytes())
    # Cameras put a small preview behind the photograph, telephones a film of a second.
    first.save(tmp_path / "a.jpg", format="JPEG")
    pictures(1, (16, 12))[0].save(tmp_path / "b.jpg", format="JPEG")
    film = write_film(tmp_path / "film.mp4").read_bytes()
    photograph = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "preview.jpg").write_bytes(photograph + (tmp_path / "b.jpg").read_bytes())
    (tmp_path / "motion.jpg").write_bytes(photograph + film)
    page, other = pictures(2)
    page.save(tmp_path / "pages.tiff", save_all=True, append_images=[other])
    for name in ("stereo.jpg", "stereo.mp4", "preview.jpg", "motion.jpg", "pages.tiff"):
        assert refusal(tmp_path / name)[0] == "not-a-video", name
        # To search with, it is the first of its pictures.
        picture = read_picture(tmp_path / name, Limits())
        assert picture is not None and np.abs(picture.frames[0].mean((0, 1)) - np.asarray(first).mean((0, 1))).max() < 3


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("mjpeg", ".mkv"), ("mjpeg", ".avi"), ("mjpeg", ".mov"), ("mjpeg", ".mp4"), ("png", ".mov"), ("png", ".nut")],
)
def test_no_container_makes_a_clip_of_a_still(tmp_path: Path, codec: str, suffix: str) -> None:
    path = write_stream(tmp_path / f"wrapped{suffix}", codec, 1)
    assert refusal(path)[0] == "not-a-video"
    assert sample_frames(write_stream(path, codec, 5), 5).info.frames == 5


def test_a_film_of_one_frame_is_a_video(tmp_path: Path) -> None:
    assert sample_frames(write_stream(tmp_path / "v.mp4", "libx264", 1), 5).frames.shape == (1, 48, 64, 3)


def add_film(output: av.container.OutputContainer, codec: str, count: int, size: int, default: bool) -> None:
    stream = output.add_stream(codec, rate=10)
    stream.width, stream.height, stream.pix_fmt = size, size, "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
    packets = []
    for i in range(count):
        packets += stream.encode(av.VideoFrame.from_ndarray(np.full((size, size, 3), 40 * i, np.uint8), "rgb24"))
    PENDING.extend(packets + stream.encode(None))


PENDING: list[av.Packet] = []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_a_track_of_one_picture_is_not_the_film(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as output:
        PENDING.clear()
        add_film(output, codec, 1, 128, default=True)
        add_film(output, "libx264", 5, 64, default=False)
        for packet in PENDING:
            output.mux(packet)
    assert sample_frames(path, 5).frames.shape == (5, 64, 64, 3)


def test_a_cover_is_not_the_film_even_if_it_is_the_default(tmp_path: Path) -> None:
    (image,) = pictures(1, (200, 200))
    image.save(tmp_path / "cover.jpg")
    with av.open(str(tmp_path / "v.mp4"), "w") as output, av.open(str(tmp_path / "cover.jpg")) as cover:
        PENDING.clear()
        add_film(output, "libx264", 5, 64, default=False)
        stream = output.add_stream_from_template(cover.streams.video[0])
        stream.disposition = av.stream.Disposition.attached_pic | av.stream.Disposition.default
        for packet in PENDING:
            output.mux(packet)
        for packet in cover.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    assert sample_frames(tmp_path / "v.mp4", 5).frames.shape == (5, 64, 64, 3)


def test_a_song_over_a_still_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as output:
        voice = output.add_stream("aac", rate=48_000, layout="mono")
        PENDING.clear()
        add_film(output, "mjpeg", 1, 64, default=True)
        for packet in PENDING:
            output.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48_000
        output.mux(voice.encode(silence))
        output.mux(voice.encode(None))
    reason, detail = refusal(path)
    assert reason == "no-video-stream"
    assert "a cover image" in detail
