"""What a file says of itself before anything is decoded, what it turns out to be, and why it is refused (PyAV)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from indexer.media.container_crop import Crop, declared_crop
from indexer.media.pictures import PictureSequence, is_picture_format, is_still, kind_of, picture_sequence
from quartet.errors import VideoError

_NOT_VIDEO_FORMATS = {
    # Demuxers that accept text or anything at all, or that fetch other files.
    "adf", "bin", "cdg", "concat", "concatf", "dash", "data", "ffmetadata", "hls", "idf", "lavfi", "rawvideo",
    "rtsp", "sdp", "tty", "xbin",
}  # fmt: skip

_CONTAINER_MARKS = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # ISO base media and QuickTime
    (
        0,
        (b"\x1aE\xdf\xa3", b"FLV", b"OggS", b"\x00\x00\x01\xba", b"0&\xb2u"),
    ),  # Matroska, FLV, Ogg, MPEG, ASF
    (8, (b"AVI ",)),
)

_PIXEL_ASPECTS = (1 / 16, 16.0)
"""Anything beyond is a mistake of whoever wrote the file."""


@dataclass(frozen=True)
class Header:
    """The video stream that is the film.

    stream    its number in the file
    formats   FFmpeg's names of the container
    fps       frames per second on average, 0 if unknown
    frames    how many the container declares, 0 if it does not say
    duration  seconds that the container declares for all of its streams, 0 if it does not say
    begin     seconds at which the first of its streams begins by the container's own clock
    width, height  pixels of its pictures as they are stored, 0 if the container does not say
    pixel_aspect   how many times as wide as high a pixel is shown
    crop           what the container says is not shown of them
    source    how to open it where FFmpeg would take it for a still
    """

    stream: int
    formats: frozenset[str]
    fps: float
    frames: int
    duration: float
    begin: float
    width: int
    height: int
    pixel_aspect: float
    crop: Crop
    source: PictureSequence = field(default=PictureSequence(), repr=False)


@dataclass(frozen=True)
class VideoInfo:
    """A whole file as it is: seconds, frames per second on average, pixels as shown (after rotation), frames."""

    duration: float
    fps: float
    width: int
    height: int
    frames: int


def open_container(path: Path, source: PictureSequence = PictureSequence()) -> Any:  # noqa: B008
    """A file as PyAV opens it. Raises what PyAV raises."""
    import av

    # Absolute, for FFmpeg takes a name such as `talk:1.mp4` for an address of the protocol `talk`.
    file = str(path.absolute()) if source.content is None else BytesIO(source.content)
    return av.open(file, format=source.demuxer)


def packets_of(container: Any, *streams: Any) -> Iterator[Any]:
    """The packets of these streams, or of all. Damage after the first packet ends the file there."""
    import av

    begun = False
    try:
        for packet in container.demux(*streams):
            yield packet
            begun = True
    except av.error.InvalidDataError:
        if not begun:
            raise


def read_header(path: Path) -> Header:
    """Open a file with PyAV. Raises VideoError with the reason if it cannot be a video."""
    import av

    try:
        size = path.stat().st_size
        if size == 0:
            raise VideoError(path, "empty-file", "The file is empty.")
        with open_container(path) as container:
            if not is_picture_format(_names(container)):
                return _header(path, container, PictureSequence())
            source = _moving_pictures(path, container)
        with open_container(path, source) as container:
            return _header(path, container, source)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error
    except OSError as error:
        raise VideoError(path, "unreadable", f"The file cannot be read: {error.strerror}.") from error


def _names(container: Any) -> frozenset[str]:
    return frozenset(container.format.name.split(","))


def _moving_pictures(path: Path, container: Any) -> PictureSequence:
    context = container.streams.video[0].codec_context if container.streams.video else None
    source = None if context is None else picture_sequence(path, context.codec.canonical_name)
    if source is None:
        raise VideoError(path, "not-a-video", f"This is an image ({kind_of(container)}), not a video.")
    return source


def _header(path: Path, container: Any, source: PictureSequence) -> Header:
    import av

    names = _names(container)
    kinds = {stream.type for stream in container.streams}
    if names & _NOT_VIDEO_FORMATS or not kinds & {"video", "audio"}:
        raise VideoError(path, "not-a-video", f"This is not a video. Its format is {container.format.long_name}.")
    stream = _film(path, container, source)
    if stream is None:
        raise VideoError(path, "no-video-stream", "The file has sound but no video.")
    context = stream.codec_context
    if context is None:
        raise VideoError(path, "unsupported-codec", "No installed decoder reads the codec of this video.")
    if "enc_key_id" in stream.metadata:  # Matroska and WebM
        raise encrypted(path)
    if stream.frames < 2 and is_still(container, stream):
        with open_container(path, source) as counted:
            single = _frames(counted, stream.index).get(stream.index, 0) == 1
        if single and "audio" in kinds:
            raise VideoError(path, "no-video-stream", "The file has sound and a cover image, but no video.")
        if single:
            raise VideoError(path, "not-a-video", f"This is an image ({kind_of(container)}), not a video.")
    rate = stream.average_rate or stream.guessed_rate or 0
    return Header(
        stream=stream.index,
        formats=names,
        fps=float(rate),
        frames=stream.frames,
        duration=(container.duration or 0) / av.time_base,
        begin=(container.start_time or 0) / av.time_base,
        width=stream.width,
        height=stream.height,
        pixel_aspect=_pixel_aspect(stream),
        crop=_crop(path, names, container, stream),
        source=source,
    )


def _film(path: Path, container: Any, source: PictureSequence) -> Any:
    """The stream that FFmpeg takes for the best one, or another if that is a cover or has a single frame."""
    films = [each for each in container.streams.video if not _is_cover(each)]
    if not films:
        return None
    best = container.streams.best("video")
    if best is None or _is_cover(best):
        best = max(films, key=lambda each: each.width * each.height)
    if len(films) > 1 and best.frames < 2:
        with open_container(path, source) as counted:
            frames = _frames(counted, best.index)
        if frames.get(best.index, 0) < 2:
            return max(films, key=lambda each: (frames.get(each.index, 0), each is best))
    return best


def _is_cover(stream: Any) -> bool:
    """The cover picture of a song is a video stream to FFmpeg."""
    return bool(stream.disposition.value & type(stream.disposition).attached_pic.value)


def _frames(container: Any, sought: int) -> dict[int, int]:
    """How many packets each stream has, by its number; counted until the stream `sought` is known to have two."""
    counts: dict[int, int] = {}
    for packet in packets_of(container):
        if packet.size:
            counts[packet.stream_index] = counts.get(packet.stream_index, 0) + 1
            if counts.get(sought, 0) == 2:
                break
    return counts


def _pixel_aspect(stream: Any) -> float:
    aspect = float(stream.sample_aspect_ratio or 1)
    least, most = _PIXEL_ASPECTS
    return aspect if least <= aspect <= most else 1.0


def _crop(path: Path, names: frozenset[str], container: Any, stream: Any) -> Crop:
    place = [each.index for each in container.streams.video].index(stream.index)
    return declared_crop(path, names, place, (stream.width, stream.height))


def encrypted(path: Path) -> VideoError:
    """The VideoError for a video that cannot be seen without a key."""
    return VideoError(path, "unsupported-codec", "The video is encrypted. Quartet has no key for it.")


def refusal(path: Path, error: Exception) -> VideoError:
    """The VideoError that says why FFmpeg could not open or decode a file."""
    import av

    if isinstance(error, av.error.DecoderNotFoundError | av.error.PatchWelcomeError):
        return VideoError(path, "unsupported-codec", "No installed decoder reads the codec of this video.")
    if isinstance(error, PermissionError) and os.access(path, os.R_OK):
        return VideoError(path, "not-a-video", "The file is a playlist. Quartet does not open the files that it lists.")
    if isinstance(error, OSError) and not isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return VideoError(path, "unreadable", f"The file cannot be read: {error.strerror}.")
    if _begins_like_a_video(path):
        return VideoError(path, "truncated", "The file is incomplete: its index or its end is missing.")
    return VideoError(path, "not-a-video", "The format of the file is unknown.")


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return any(head[offset:].startswith(marks) for offset, marks in _CONTAINER_MARKS)
