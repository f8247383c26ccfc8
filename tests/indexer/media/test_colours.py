"""Pictures as they are shown: pixels, edges and colours, compared with what FFmpeg's own filters make of them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from indexer.media.clip_reader import sample_frames
from indexer.media.thumbnails import strip, thumbnail

CASES = Path(__file__).parents[3] / ".." / "shared" / "cases" / "media"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the collection of cases is not here")
Picture = np.ndarray

BARS = [
    (0.1, 0.1, 0.1),
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.0),
    (0.0, 0.5, 0.5),
    (0.5, 0.0, 0.5),
    (0.5, 0.0, 0.0),
    (0.0, 0.0, 0.5),
]
"""Light of red, green and blue in BT.709; 1 is white."""

TOLERANCE = 6
"""Grey levels between our tone mapping and that of FFmpeg's filters: 4:2:0 and the rounding of video cost four."""


@cache
def has_zscale() -> bool:
    if shutil.which("ffmpeg") is None:
        return False
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    return " zscale " in listed


def pq(light: Picture) -> Picture:
    """SMPTE ST 2084, of light whose white is 203 cd/m2."""
    y = (np.maximum(light, 0) * 203 / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg(light: Picture) -> Picture:
    """ARIB STD-B67 for a display of 1,000 cd/m2, its gamma per channel."""
    scene = (np.maximum(light, 0) * 203 / 1000) ** (1 / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def gamma(light: Picture) -> Picture:
    return np.maximum(light, 0) ** (1 / 2.4)


TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def write_bars(path: Path, curve: Callable[[Picture], Picture], transfer: int, codec: str = "libx265") -> Path:
    """Bars of BARS in BT.2020, limited range, 10 bits."""
    red, green, blue = curve(np.array(BARS) @ TO_BT2020.T).T
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    planes = [64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746]
    with av.open(str(path), "w") as output:
        options = {"x265-params": "log-level=none", "crf": "4"} if codec == "libx265" else {"crf": "4"}
        stream = output.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64 * len(BARS), 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for _ in range(3):
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
            for plane, values in zip(frame.planes, planes, strict=True):
                row = np.repeat(np.rint(values), plane.width // len(BARS)).astype("<u2")
                rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
                rows[:, : len(row)] = row
                plane.update(rows.tobytes())
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, transfer, 9, 1
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def bars(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.array([picture[height // 2, int((i + 0.5) * width / len(BARS))] for i in range(len(BARS))], dtype=int)


def mapped_by_ffmpeg(path: Path, width: int, height: int) -> Picture:
    chain = (
        "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,"
        f"zscale=t=bt709:m=bt709:r=tv,format=yuv444p,scale={width}:{height}:flags=bilinear"
    )
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", chain, "-frames:v", "1", "-pix_fmt", "rgb24"]
    result = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True)
    return np.frombuffer(result.stdout, np.uint8).reshape(height, width, 3)


CURVES = {"pq": (pq, 16), "hlg": (hlg, 18)}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_high_dynamic_range_is_mapped_as_by_ffmpeg(tmp_path: Path, name: str, suffix: str) -> None:
    curve, transfer = CURVES[name]
    path = write_bars(tmp_path / f"v{suffix}", curve, transfer)
    picture = sample_frames(path, 1).frames[0]
    shown = bars(picture)
    # An ordinary display's values of the same light; the curve takes a little of the brighter ones.
    ordinary = np.rint(255 * gamma(np.array(BARS)))
    assert np.abs(shown - ordinary).max() <= 26
    assert np.abs(shown[0] - ordinary[0]).max() <= 3
    if has_zscale():
        theirs = mapped_by_ffmpeg(path, picture.shape[1], picture.shape[0])
        assert np.abs(shown - bars(theirs)).max() <= TOLERANCE


def test_highlights_keep_their_order_and_white_stays_below_the_top(tmp_path: Path) -> None:
    from indexer.media.tone_mapping import map_to_bt709

    light = np.array([0.25, 0.5, 1.0, 2.0, 5.0, 20.0])
    signal = np.repeat(np.rint(65535 * pq(light))[None, :, None], 3, axis=2).astype(np.uint16)
    grey = map_to_bt709(signal, 16)[0, :, 0].astype(int)
    assert (np.diff(grey) > 0).all()
    assert grey[0] == pytest.approx(255 * 0.25 ** (1 / 2.4), abs=1)
    assert grey[2] < 230 < grey[-1] <= 255


def test_wide_colours_of_ordinary_range_are_converted(tmp_path: Path) -> None:
    shown = bars(sample_frames(write_bars(tmp_path / "v.mp4", gamma, 14), 1).frames[0])
    assert np.abs(shown - 255 * gamma(np.array(BARS))).max() <= 8


@needs_cases
def test_the_case_of_bars() -> None:
    one, other = (sample_frames(CASES / f"bars-{name}.mp4", 1).frames[0].astype(int) for name in ("pq-2020", "sdr-709"))
    places = [(120, int((i + 0.5) * 80)) for i in range(8)]
    distances = [np.abs(one[place] - other[place]).max() for place in places]
    assert max(distances) <= 28
    if has_zscale():
        theirs = mapped_by_ffmpeg(CASES / "bars-pq-2020.mp4", one.shape[1], one.shape[0]).astype(int)
        assert max(np.abs(one[place] - theirs[place]).max() for place in places) <= TOLERANCE


def circle(width: int, height: int, stretch: float) -> Picture:
    """A black disc on white that is round where a pixel is `stretch` times as wide as high."""
    y, x = np.mgrid[0:height, 0:width]
    inside = ((x - width / 2) * stretch) ** 2 + (y - height / 2) ** 2 < (min(width * stretch, height) / 3) ** 2
    return np.repeat(np.where(inside, 16, 235).astype(np.uint8)[..., None], 3, axis=2)


def extent(picture: Picture) -> tuple[int, int]:
    """Width and height of what is dark."""
    dark = picture.mean(axis=2) < 128
    return int(dark.any(axis=0).sum()), int(dark.any(axis=1).sum())


@pytest.mark.parametrize(
    ("stored", "aspect", "shown"),
    [
        ((384, 288), (2, 1), (768, 288)),
        ((720, 576), (16, 15), (768, 576)),
        ((720, 480), (8, 9), (720, 540)),
        ((160, 320), (1, 2), (160, 640)),
        ((320, 240), (0, 1), (320, 240)),
        ((320, 240), (1000, 1), (320, 240)),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_pixels_are_shown_as_wide_as_they_are(
    tmp_path: Path, suffix: str, stored: tuple[int, int], aspect: tuple[int, int], shown: tuple[int, int]
) -> None:
    path = tmp_path / f"v{suffix}"
    stretch = shown[0] / stored[0] * stored[1] / shown[1]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *stored, "yuv420p"
        if aspect[0]:
            stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(circle(*stored, stretch), format="rgb24")))
        output.mux(stream.encode(None))
    clip = sample_frames(path, 1)
    assert (clip.info.width, clip.info.height) == shown
    wide, high = extent(clip.frames[0])
    assert wide == pytest.approx(high, abs=4)


@needs_cases
@pytest.mark.parametrize(("name", "shown"), [("pixels-2-to-1.mp4", (768, 288)), ("dvd-8-to-3.mpg", (636, 288))])
def test_the_cases_of_wide_pixels(name: str, shown: tuple[int, int]) -> None:
    """MPEG-2 has no aspect of 8 to 3: that file says 2.21 to 1, and every player shows it so."""
    from io import BytesIO

    from PIL import Image

    clip = sample_frames(CASES / name, 8)
    assert (clip.info.width, clip.info.height) == shown
    for picture in (thumbnail(clip.frames), strip(clip.frames)):
        image = Image.open(BytesIO(picture))
        width = image.width // (8 if picture is not None and image.width > 4 * image.height else 1)
        assert width / image.height == pytest.approx(shown[0] / shown[1], rel=0.03)


def test_what_an_encoder_cuts_off_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    picture = np.full((240, 320, 3), 200, np.uint8)
    picture[:10] = picture[-30:] = picture[:, :40] = picture[:, -20:] = 0
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"x264-params": "crop-rect=40,10,20,30", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    clip = sample_frames(path, 1)
    assert (clip.info.width, clip.info.height) == (260, 200)
    assert clip.frames.min() > 190


def _framed(path: Path) -> None:
    """Grey with a black edge: 40 pixels left, 10 above and 30 below. With room for a crop in its header."""
    picture = np.full((240, 320, 3), 200, np.uint8)
    picture[:10] = picture[-30:] = picture[:, :40] = 0
    with av.open(str(path), "w", options={} if path.suffix == ".mkv" else {"movflags": "write_colr"}) as output:
        stream = output.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        context = stream.codec_context
        context.sample_aspect_ratio = Fraction(1, 1)
        context.color_primaries = context.color_trc = context.colorspace = 1
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))


def _put_in_matroska(content: bytes) -> bytes:
    """PixelCropLeft, -Top and -Bottom in the place of the colours."""
    at = content.index(b"\x55\xb0")
    stop = at + 3 + (content[at + 2] & 0x7F)
    sides = bytes.fromhex("54cc8128 54bb810a 54aa811e")
    rest = stop - at - len(sides) - 2
    return content[:at] + sides + bytes([0xEC, 0x80 | rest]) + bytes(rest) + content[stop:]


def _put_in_mp4(content: bytes) -> bytes:
    """`clap` in the place of the colours, the pixel aspect and the bit rate."""
    kinds = (b"colr", b"pasp", b"btrt")
    start = stop = min(content.index(kind) - 4 for kind in kinds if kind in content)
    while content[stop + 4 : stop + 8] in kinds:
        stop += int.from_bytes(content[stop : stop + 4])
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", 280, 1, 200, 1, 20, 1, -10, 1)
    rest = stop - start - len(clap)
    free = struct.pack(">I4s", rest, b"free") + bytes(rest - 8)
    return content[:start] + clap + free + content[stop:]


@pytest.mark.parametrize(("suffix", "put"), [("mkv", _put_in_matroska), ("mp4", _put_in_mp4)])
def test_what_a_container_cuts_off_is_not_shown(tmp_path: Path, suffix: str, put: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"v.{suffix}"
    _framed(path)
    whole = sample_frames(path, 1)
    assert (whole.info.width, whole.info.height) == (320, 240) and whole.frames.min() < 10
    path.write_bytes(put(path.read_bytes()))
    clip = sample_frames(path, 1)
    assert (clip.info.width, clip.info.height) == (280, 200)
    assert clip.frames.shape == (1, 200, 280, 3) and clip.frames.min() > 180


@needs_cases
def test_damaged_key_frames_are_decoded_on_from_the_one_before() -> None:
    clip = sample_frames(CASES / "damaged-keyframes.mp4", 4)
    assert clip.frames.mean(axis=(1, 2, 3)) == pytest.approx([129, 20, 21, 19], abs=2)


def test_a_damaged_key_frame_in_a_sound_file(tmp_path: Path) -> None:
    """The picture before it goes on, in place of grey."""
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "25", "crf": "10", "x264-params": "scenecut=0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        noise = np.random.default_rng(1).integers(0, 40, (240, 320, 3), np.uint8)
        for i in range(150):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, i, axis=1), format="rgb24")))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        keys = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.is_keyframe]
    content = bytearray(path.read_bytes())
    position, size = keys[3]
    at = content.index(bytes(content[position + size // 2 : position + size // 2 + 8]))
    content[at : at + size // 3] = struct.pack("B", 0xAA) * (size // 3)
    path.write_bytes(content)
    frames = sample_frames(path, 1, start=3.1, end=3.3).frames
    assert frames.mean() < 40
