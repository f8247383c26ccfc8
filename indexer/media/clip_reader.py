"""From a video file to clips with sampled frames, one after the other: memory does not grow with the file.

Sampled frames are those on screen at the mid-points of equal parts of a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.media.decode_limits import UNLIMITED, Limits
from indexer.media.frames import FrameReader, Picture
from indexer.media.header import Header, VideoInfo, read_header
from indexer.media.segmentation import WHOLE, Segmentation, Span, windows
from indexer.media.shots import find_shots
from indexer.media.timeline import Seconds, Timeline, read_timeline
from model.encoder import Frames
from quartet.errors import InputError, VideoError

_INSTANT = 1e-6
"""Seconds. A mid-point often falls on the very moment of a frame: rounding must not make it the frame before."""


@dataclass(frozen=True)
class SampledClip:
    """frames (T, H, W, 3) uint8 RGB, T >= 1; times (T,) seconds by the player's clock; its part of the file."""

    frames: Frames
    times: Seconds
    span: Span
    info: VideoInfo


def sample_frames(
    path: Path,
    count: int,
    start: float = 0.0,
    end: float | None = None,
    alive: Callable[[], None] = lambda: None,
    limits: Limits = UNLIMITED,
) -> SampledClip:
    """Sample `count` frames at the mid-points of equal parts of [start, end) seconds (None: to the end).

    Seconds are those of the player's clock (docs/decoding.md). A clip with fewer frames gives fewer rows, never the
    same frame twice. `alive` and `limits` are those of `read_clips`.
    Raises VideoError if the file cannot be used, InputError if the part is outside of the file.
    """
    _require_positive(count)
    header, timeline = _within(limits, path, alive)
    span = Span(max(start, timeline.start), timeline.end if end is None else min(end, timeline.end))
    if start < 0 or span.start >= span.end:
        raise InputError(f"{path.name}: the video has no part from {start:g} s to {span.end:g} s.")
    with FrameReader(path, header, timeline, alive) as reader:
        return next(_clips(reader, [span], count))


def read_clips(
    path: Path,
    count: int,
    segmentation: Segmentation = WHOLE,
    alive: Callable[[], None] = lambda: None,
    *,
    skip: int = 0,
    limits: Limits = UNLIMITED,
) -> Iterator[SampledClip]:
    """Every clip of a file in the order of time but the first `skip`, each with up to `count` sampled frames.

    alive   called again and again while the file is read
    limits  of the duration and the size of the picture; a file past them is refused before any of it is decoded
    Raises VideoError if the file cannot be used.
    """
    _require_positive(count)
    header, timeline = _within(limits, path, alive)
    with FrameReader(path, header, timeline, alive) as reader:
        if segmentation.kind == "shot":
            shots = find_shots(reader.through(), timeline, count, segmentation.threshold)
            # A cut depends on the frames before it: only a second look at all of them finds the same ones.
            for span, pictures in islice(shots, skip, None):
                yield _clip(pictures, span, reader)
            return
        whole = segmentation.kind == "whole"
        length = timeline.duration if whole else segmentation.window
        parts = windows(timeline.duration, length, segmentation.overlap, timeline.start)
        yield from _clips(reader, parts[skip:], count)


def _within(limits: Limits, path: Path, alive: Callable[[], None]) -> tuple[Header, Timeline]:
    """What a file says of itself. Raises VideoError if that is past a limit."""
    header = read_header(path)
    if header.width * header.height > limits.pixels:
        size, most = f"{header.width}x{header.height}", f"{limits.pixels / 1e6:.3g} million"
        raise VideoError(path, "over-limit", f"Its frames have {size} pixels. The maximum is {most}.")
    timeline = read_timeline(path, header, alive)
    if timeline.duration > limits.duration:
        detail = f"It lasts {timeline.duration:.0f} s. The maximum is {limits.duration:.0f} s."
        raise VideoError(path, "over-limit", detail)
    return header, timeline


def _clips(reader: FrameReader, spans: Sequence[Span], count: int) -> Iterator[SampledClip]:
    """Clips of spans that begin and end in ascending order. A picture that several share is decoded once."""
    parts = [_on_screen(reader.timeline, span, count) for span in spans]
    wanted = np.unique(np.concatenate(parts))
    pictures = zip(wanted.tolist(), reader.at(wanted), strict=True)
    held: dict[int, Picture] = {}
    for span, part in zip(spans, parts, strict=True):
        held = {index: picture for index, picture in held.items() if index >= part[0]}
        while part[-1] not in held:
            index, picture = next(pictures)
            held[index] = picture
        yield _clip([held[index] for index in part.tolist()], span, reader)


def _on_screen(timeline: Timeline, span: Span, count: int) -> npt.NDArray[np.int64]:
    """Numbers of the frames on screen at the mid-points of `count` parts of a span, each once."""
    middles = span.start + (np.arange(count) + 0.5) * (span.end - span.start) / count
    times = timeline.times
    return np.unique(np.clip(np.searchsorted(times, middles + _INSTANT, side="right") - 1, 0, len(times) - 1))


def _clip(pictures: Sequence[Picture], span: Span, reader: FrameReader) -> SampledClip:
    # Where frames cannot be decoded, several numbers stand for one picture.
    each = {picture.time: picture for picture in pictures}
    timeline = reader.timeline
    info = VideoInfo(timeline.duration, timeline.fps, *reader.size, len(timeline.stamps))
    return SampledClip(np.stack([picture.pixels for picture in each.values()]), np.array(list(each)), span, info)


def _require_positive(count: int) -> None:
    if count < 1:
        raise InputError(f"The number of frames to sample must be at least 1, not {count}.")
