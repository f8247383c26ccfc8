"""Sampling frames from video files: decord first, PyAV where decord gives up.

Sampled frames are those on screen at the mid-points of equal parts of a clip. Both readers honour rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.header import Header, read_header, refusal
from model.encoder import Frames
from model.errors import InputError, VideoError

SHORT_SIDE = 384
"""Sampled frames are scaled down to this many pixels on the shorter side: no backbone here looks at more."""

_COMPLETE = 0.9
"""A file with less than this part of the frames that it declares counts as truncated."""

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VideoInfo:
    """A whole video file: seconds, frames per second on average, pixels as shown (after rotation), frames."""

    duration: float
    fps: float
    width: int
    height: int
    frames: int


@dataclass(frozen=True)
class SampledClip:
    """frames (T, H, W, 3) uint8 RGB, T >= 1; times (T,) seconds from the start of the file; its info."""

    frames: Frames
    times: Times
    info: VideoInfo


def sample_frames(path: Path, count: int, start: float = 0.0, end: float | None = None) -> SampledClip:
    """Sample `count` frames at the mid-points of equal parts of [start, end) seconds (None: to the end).

    A clip with fewer frames gives fewer rows, never the same frame twice.
    Raises VideoError if the file cannot be used, InputError if the part lies outside of the file.
    """
    if count < 1:
        raise InputError(f"The number of frames to sample must be at least 1, not {count}.")
    header = read_header(path)
    if not header.indexed:
        # decord trusts the seek and returns other frames than those asked for.
        return _with_pyav(path, header, count, start, end)
    try:
        return _with_decord(path, header, count, start, end)
    except _decord_errors():
        # decord gives up on streams without usable time stamps or with damaged frames that FFmpeg steps over.
        return _with_pyav(path, header, count, start, end)


def _with_decord(path: Path, header: Header, count: int, start: float, end: float | None) -> SampledClip:
    decord = _decord()
    # One thread per reader: files are decoded side by side instead.
    reader = decord.VideoReader(str(path), num_threads=1)
    _require_complete(path, header, len(reader))
    fps = float(reader.get_avg_fps())
    spans = reader.get_frame_timestamp(range(len(reader))).astype(np.float64)
    starts, duration = spans[:, 0], float(spans[-1, 1])
    if not (np.isfinite(spans).all() and starts[0] >= 0 and (np.diff(starts) > 0).all()):
        # Some AVI and MPEG files carry no presentation times: frames then follow each other evenly.
        starts, duration = np.arange(len(reader)) / fps, len(reader) / fps
    indices = _on_screen(path, starts, count, start, duration if end is None else min(end, duration))
    pictures = [reader[int(i)].asnumpy() for i in indices]
    height, width, channels = pictures[0].shape
    if channels != 3:
        raise RuntimeError("decord returned padded rows, as it does for pictures of a few pixels")
    info = VideoInfo(duration, fps, width, height, len(reader))
    return SampledClip(_stack(pictures), starts[indices], info)


def _with_pyav(path: Path, header: Header, count: int, start: float, end: float | None) -> SampledClip:
    """Two passes: packets for the times, then every frame, stepping over what cannot be decoded."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams[header.stream]
            base = Fraction(stream.time_base or 0)
            stamps = sorted({p.pts * base for p in container.demux(stream) if p.pts is not None})
        if not stamps:
            raise VideoError(path, "unreadable", "No frame of the video has a time.")
        _require_complete(path, header, len(stamps))
        times = np.array([float(stamp - stamps[0]) for stamp in stamps])
        fps = header.fps or max(1.0, (len(times) - 1) / max(float(times[-1]), 1e-3))
        duration = float(times[-1]) + 1 / fps
        indices = _on_screen(path, times, count, start, duration if end is None else min(end, duration))
        wanted = times[indices]
        taken: dict[float, npt.NDArray[np.uint8]] = {}
        with av.open(str(path)) as container:
            for frame in _decodable(container, container.streams[header.stream]):
                if len(taken) == len(wanted):
                    break
                at = float(frame.time - stamps[0]) if frame.time is not None else 0.0
                if at >= wanted[len(taken)] - 1e-6 and at not in taken:
                    taken[at] = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error
    if not taken:
        raise VideoError(path, "unreadable", "None of its frames can be decoded.")
    pictures = list(taken.values())
    height, width = pictures[0].shape[:2]
    info = VideoInfo(duration, fps, width, height, len(times))
    return SampledClip(_stack(pictures), np.array(list(taken)), info)


def _decodable(container: Any, stream: Any) -> Any:
    import av

    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _on_screen(path: Path, starts: Times, count: int, start: float, end: float) -> npt.NDArray[np.int64]:
    """Indices of the frames on screen at the mid-points of `count` parts of [start, end), each once."""
    if not 0 <= start < end:
        raise InputError(f"{path.name}: there is no part of the video from {start:g} s to {end:g} s.")
    middles = start + (np.arange(count) + 0.5) * (end - start) / count
    return np.unique(np.clip(np.searchsorted(starts, middles, side="right") - 1, 0, len(starts) - 1))


def _require_complete(path: Path, header: Header, found: int) -> None:
    if found < _COMPLETE * header.frames:
        raise VideoError(path, "truncated", f"The file has {found} of the {header.frames} frames that it declares.")


def _stack(pictures: list[npt.NDArray[np.uint8]]) -> Frames:
    """One array of pictures in the size of the first (a stream may change its size), at most SHORT_SIDE."""
    from PIL import Image

    height, width = pictures[0].shape[:2]
    scale = min(1.0, SHORT_SIDE / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    images = (Image.fromarray(np.ascontiguousarray(picture)) for picture in pictures)
    # Pillow's bilinear filter widens with the reduction, so that it averages instead of skipping pixels.
    return np.stack([np.asarray(image.resize(size, Image.Resampling.BILINEAR)) for image in images])


def _decord() -> Any:
    # decord puts its FFmpeg into the global symbol scope. Loaded first, PyAV binds to its own copy.
    import av  # noqa: F401
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _decord_errors() -> tuple[type[Exception], ...]:
    from decord import DECORDError

    return (DECORDError, RuntimeError, AssertionError)
