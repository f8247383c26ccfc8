"""What a file says of itself before anything is decoded, and why it is refused (PyAV)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quartet.errors import VideoError

_NOT_VIDEO_FORMATS = {
    # Demuxers that accept text or anything at all, that are still pictures, or that fetch other files.
    "adf", "bin", "cdg", "concat", "concatf", "dash", "data", "ffmetadata", "hls", "idf", "image2", "image2pipe",
    "lavfi", "rawvideo", "rtsp", "sdp", "tty", "xbin",
}  # fmt: skip

_CONTAINER_MARKS = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # ISO base media and QuickTime
    (
        0,
        (b"\x1aE\xdf\xa3", b"FLV", b"OggS", b"\x00\x00\x01\xba", b"0&\xb2u"),
    ),  # Matroska, FLV, Ogg, MPEG, ASF
    (8, (b"AVI ",)),
)


@dataclass(frozen=True)
class Header:
    """The video stream that FFmpeg takes for the best one.

    stream    its number in the file
    formats   FFmpeg's names of the container
    fps       frames per second on average, 0 if unknown
    frames    how many the container declares, 0 if it does not say
    duration  seconds that the container declares for all of its streams, 0 if it does not say
    width, height  pixels of its pictures as they are stored, 0 if the container does not say
    """

    stream: int
    formats: frozenset[str]
    fps: float
    frames: int
    duration: float
    width: int
    height: int


def open_container(path: Path) -> Any:
    """A file as PyAV opens it. Raises what PyAV raises."""
    import av

    # Absolute, for FFmpeg takes a name such as `talk:1.mp4` for an address of the protocol `talk`.
    return av.open(str(path.absolute()))


def read_header(path: Path) -> Header:
    """Open a file with PyAV. Raises VideoError with the reason if it cannot be a video."""
    import av

    try:
        size = path.stat().st_size
        if size == 0:
            raise VideoError(path, "empty-file", "The file is empty.")
        with open_container(path) as container:
            return _header(path, container)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error
    except OSError as error:
        raise VideoError(path, "unreadable", f"The file cannot be read: {error.strerror}.") from error


def _header(path: Path, container: Any) -> Header:
    import av

    names = frozenset(container.format.name.split(","))
    kinds = {stream.type for stream in container.streams}
    if names & _NOT_VIDEO_FORMATS or any(name.endswith("_pipe") for name in names) or not kinds & {"video", "audio"}:
        raise VideoError(path, "not-a-video", f"The file is not a video but {container.format.long_name}.")
    stream = container.streams.best("video")
    # The cover picture of a song is a video stream to FFmpeg.
    if stream is None or stream.disposition.value & type(stream.disposition).attached_pic.value:
        raise VideoError(path, "no-video-stream", "The file has sound but no pictures.")
    if stream.codec_context is None:
        raise VideoError(path, "unsupported-codec", "The video is coded in a way that no installed decoder knows.")
    rate = stream.average_rate or stream.guessed_rate or 0
    duration = (container.duration or 0) / av.time_base
    return Header(stream.index, names, float(rate), stream.frames, duration, stream.width, stream.height)


def refusal(path: Path, error: Exception) -> VideoError:
    """The VideoError that says why FFmpeg could not open or decode a file."""
    import av

    if isinstance(error, av.error.DecoderNotFoundError | av.error.PatchWelcomeError):
        return VideoError(path, "unsupported-codec", "The video is coded in a way that no installed decoder knows.")
    if isinstance(error, OSError) and not isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return VideoError(path, "unreadable", f"The file cannot be read: {error.strerror}.")
    if _begins_like_a_video(path):
        return VideoError(path, "truncated", "The file begins like a video but its index or its end is missing.")
    return VideoError(path, "not-a-video", "The file is in no video format that is known.")


def _begins_like_a_video(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return any(head[offset:].startswith(marks) for offset, marks in _CONTAINER_MARKS)
