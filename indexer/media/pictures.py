"""Telling moving pictures from stills, whatever the file is called: more than one frame is a video."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

PICTURE_CODECS = {
    "apng", "bmp", "dds", "dpx", "exr", "fits", "gif", "hdr", "jpeg2000", "jpegls", "jpegxl", "jpegxs", "mjpeg",
    "pam", "pbm", "pcx", "pgm", "phm", "pictor", "png", "ppm", "psd", "qoi", "rawvideo", "sgi", "sunrast", "svg",
    "targa", "tiff", "webp", "xbm", "xface", "xpm", "xwd",
}  # fmt: skip
"""FFmpeg's names of the codecs of pictures. One frame of them is a picture in any container."""

_PICTURE_BRANDS = {
    "avif", "avis", "crx ", "heic", "heim", "heis", "heix", "hevc", "hevx", "jpeg", "jpgs", "mif1", "mif2", "msf1",
}  # fmt: skip
"""Brands of ISO base media files that hold pictures (ISO/IEC 23008-12): HEIC, AVIF and raw photographs."""

_MULTI_PICTURE_MARK = b"MPF\0"
"""In a photograph that holds other versions of itself (CIPA DC-007), among them those with a gain map."""

_HEADER_BYTES = 2**20
"""Bytes of a photograph in which that mark stands."""

_NO_DELAY = 100
"""Milliseconds for which a picture without a duration is shown, as in browsers."""


@dataclass(frozen=True)
class PictureSequence:
    """How to read moving pictures that FFmpeg takes for a still: by the name of a demuxer, or as another file."""

    demuxer: str | None = None
    content: bytes | None = None


def is_picture_format(names: frozenset[str]) -> bool:
    """Whether FFmpeg's names of a format are those of pictures without a container, be they one or many."""
    return bool(names & {"image2", "mjpeg"}) or any(name.endswith("_pipe") for name in names)


def picture_sequence(path: Path, codec: str) -> PictureSequence | None:
    """How to read a file of pictures of this codec as a video; None if it holds one picture."""
    if codec == "webp":
        return _animated_webp(path)
    demuxer = "mjpeg" if codec == "mjpeg" else f"{codec}_pipe"
    if codec == "mjpeg" and _is_multi_picture(path):
        return None
    return PictureSequence(demuxer) if _has_two_alike(path, demuxer) else None


def is_still(container: Any, stream: Any) -> bool:
    """Whether the one frame of a stream would be a picture and no video."""
    codec = stream.codec_context.codec.canonical_name
    return codec in PICTURE_CODECS or container.metadata.get("major_brand") in _PICTURE_BRANDS


def kind_of(container: Any) -> str:
    """The kind of a picture by the name that users know: jpeg, heic, png."""
    brand = container.metadata.get("major_brand")
    if brand in _PICTURE_BRANDS:
        return str(brand).strip()
    context = container.streams.video[0].codec_context if container.streams.video else None
    name = container.format.name if context is None else context.codec.canonical_name
    return "jpeg" if name == "mjpeg" else str(name).removesuffix("_pipe")


def _has_two_alike(path: Path, demuxer: str) -> bool:
    """Previews and other versions of a photograph differ from it in size."""
    import av

    if demuxer not in av.formats_available:
        return False
    try:
        with av.open(str(path.absolute()), format=demuxer) as container:
            sizes = [(frame.width, frame.height) for frame in islice(container.decode(video=0), 2)]
    except av.error.FFmpegError:
        return False
    return len(sizes) == 2 and sizes[0] == sizes[1]


def _is_multi_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return _MULTI_PICTURE_MARK in file.read(_HEADER_BYTES)


def _animated_webp(path: Path) -> PictureSequence | None:
    """FFmpeg does not decode animated WebP; Pillow does, and writes it as animated PNG, which FFmpeg decodes."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) < 2:
                return None
            frames: list[Image.Image] = []
            durations: list[float] = []
            for frame in ImageSequence.Iterator(image):
                frames.append(frame.convert("RGB"))
                durations.append(frame.info.get("duration") or _NO_DELAY)
    except (OSError, Image.DecompressionBombError):
        return None
    content = BytesIO()
    frames[0].save(
        content, "PNG", save_all=True, append_images=frames[1:], duration=durations, blend=0, compress_level=1
    )
    return PictureSequence("apng", content.getvalue())
