"""A stretch of a video as a file of its own: its packets copied where the cut allows, else encoded again.

It begins with the frame on screen at `start` and ends with the last one that comes before `end`; nothing else is
shown. Packets can be copied if decoding can begin at the first frame and no frame that is left out is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from indexer.media.frames import FrameReader
from indexer.media.header import Header, open_container, read_header, refusal
from indexer.media.timeline import Timeline, read_timeline
from quartet.errors import InputError

_INSTANT = 1e-6
"""Seconds: rounding must not make of the very moment of a frame the previous one."""

_COPIED_TO = {"mov": ".mp4", "matroska": ".mkv", "mpegts": ".ts"}
"""The suffix of a file whose packets are copied, by the format that they come from. WebM keeps its own."""

_TICKS = 90_000
"""Of a second: fine enough for every rate of frames that is in use."""


@dataclass(frozen=True)
class WrittenClip:
    """start, end: seconds of the original that it shows; copied: its packets are those of the original."""

    path: Path
    start: float
    end: float
    copied: bool


@dataclass(frozen=True)
class _Cut:
    path: Path
    header: Header
    timeline: Timeline
    first: int
    last: int  # the number of the last frame
    end: float

    @property
    def start(self) -> float:
        return float(self.timeline.times[self.first])

    @property
    def stamps(self) -> tuple[int, int | None]:
        """The stamp of the first frame, and that of the first one after the last, if there is one."""
        stamps = self.timeline.stamps
        after = int(stamps[self.last + 1]) if self.last + 1 < len(stamps) else None
        return int(stamps[self.first]), after


def write_clip(path: Path, start: float, end: float, target: Path, *, encode: bool = False) -> WrittenClip:
    """Write [start, end) seconds of the video at `path` to `target`, whose suffix is replaced by that of its format.

    encode  encode it again even where its packets could be copied: H.264 and AAC, for any player

    Raises VideoError if the video cannot be used, InputError for a stretch that it does not have.
    """
    import av

    header = read_header(path)
    timeline = read_timeline(path, header)
    cut = _cut(path, header, timeline, start, end)
    try:
        packets = None if encode else _copied_packets(cut)
        if packets is not None:
            target = target.with_suffix(_copied_suffix(cut))
            with suppress(av.error.FFmpegError, ValueError):
                _whole(target, lambda part: _copy(cut, packets, part))
                return WrittenClip(target, cut.start, cut.end, True)
        target = target.with_suffix(".mp4")
        _whole(target, lambda part: _encode(cut, part))
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error
    return WrittenClip(target, cut.start, cut.end, False)


def _cut(path: Path, header: Header, timeline: Timeline, start: float, end: float) -> _Cut:
    times = timeline.times
    if not start < end or start >= timeline.end or end <= timeline.start:
        raise InputError(f"{path.name}: the video has no part from {start:g} s to {end:g} s.")
    first = max(int(np.searchsorted(times, start + _INSTANT, side="right")) - 1, 0)
    last = max(int(np.searchsorted(times, end - _INSTANT, side="left")) - 1, first)
    until = float(times[last + 1]) if last + 1 < len(times) else timeline.end
    return _Cut(path, header, timeline, first, last, until)


def _whole(target: Path, write: Any) -> None:
    """Let `write` make a file that appears as `target` whole or not at all."""
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        write(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copied_suffix(cut: _Cut) -> str:
    if cut.path.suffix.lower() == ".webm":
        return ".webm"
    return next((suffix for name, suffix in _COPIED_TO.items() if name in cut.header.formats), "")


def _copied_packets(cut: _Cut) -> list[Any] | None:
    """The packets of the pictures, in their order; None where they cannot be copied."""
    timeline = cut.timeline
    start, after = cut.stamps
    if timeline.counted or timeline.joints is not None or not _copied_suffix(cut):
        return None
    if start not in timeline.keys[:, 0]:
        return None
    packets: list[Any] = []
    with open_container(cut.path, cut.header.source) as container:
        stream = container.streams[cut.header.stream]
        container.seek(start, stream=stream)
        begun = past = False
        for packet in container.demux(stream):
            if packet.pts is None or not packet.size:
                continue
            begun = begun or (packet.pts == start and packet.is_keyframe)
            if not begun:
                if packet.pts > start:
                    return None
                continue
            if after is not None and packet.pts >= after:
                past = True
            elif packet.pts >= start:
                if past:
                    # It needs a frame that is left out.
                    return None
                packets.append(packet)
            if past and packet.dts is not None and packet.dts >= (after or 0):
                break
    return packets if len(packets) == cut.last - cut.first + 1 else None


def _copy(cut: _Cut, packets: list[Any], target: Path) -> None:
    import av

    start, _ = cut.stamps
    with open_container(cut.path, cut.header.source) as source, av.open(str(target), "w") as output:
        picture = source.streams[cut.header.stream]
        video = output.add_stream_from_template(picture)
        sound = _sound(source)
        audio = output.add_stream_from_template(sound) if sound is not None else None
        for packet in packets:
            packet.pts -= start
            if packet.dts is not None:
                packet.dts -= start
            packet.stream = video
        spoken = []
        if sound is not None and audio is not None:
            begin = (cut.start + _zero(cut)) / sound.time_base
            for packet in _sound_packets(cut, source, sound):
                packet.pts -= round(begin)
                packet.dts = packet.pts
                packet.stream = audio
                spoken.append(packet)
        in_order = sorted([*packets, *spoken], key=lambda each: float((each.dts or 0) * each.time_base))
        for packet in in_order:
            output.mux(packet)


def _encode(cut: _Cut, target: Path) -> None:
    import av

    times = cut.timeline.times
    with (
        FrameReader(cut.path, cut.header, cut.timeline, short_side=None) as reader,
        av.open(str(target), "w") as output,
    ):
        rate = Fraction(max(cut.timeline.fps, 1.0)).limit_denominator(1001)
        video = output.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, _TICKS)
        sounds = _encoded_sound(cut, output)
        indices = np.arange(cut.first, cut.last + 1)
        for index, picture in zip(indices.tolist(), reader.at(indices), strict=True):
            height, width = (side - side % 2 for side in picture.pixels.shape[:2])
            if not video.width or index == cut.first:
                video.width, video.height = width, height
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.pixels[:height, :width]), format="rgb24")
            frame.time_base = Fraction(1, _TICKS)
            frame.pts = round((times[index] - cut.start) * _TICKS)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for packet in sounds:
            output.mux(packet)


def _encoded_sound(cut: _Cut, output: Any) -> Iterator[Any]:
    """The sound of the cut as AAC. The stream is added at once, its packets are made when they are asked for."""
    import av

    with open_container(cut.path, cut.header.source) as source:
        sound = _sound(source)
        if sound is None:
            return iter(())
        rate, layout = sound.rate, "stereo" if sound.channels > 1 else "mono"
    audio = output.add_stream("aac", rate=rate, layout=layout)

    def packets() -> Iterator[Any]:
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        samples = None
        with open_container(cut.path, cut.header.source) as source:
            for packet in _sound_packets(cut, source, _sound(source)):
                with suppress(av.error.InvalidDataError):
                    for decoded in packet.decode():
                        for frame in resampler.resample(decoded):
                            if samples is None:
                                samples = max(0, round((decoded.time - _zero(cut) - cut.start) * rate))
                            frame.pts, frame.time_base = samples, Fraction(1, rate)
                            samples += frame.samples
                            yield from audio.encode(frame)
            yield from audio.encode(None)

    return packets()


def _sound(source: Any) -> Any:
    """The first stream of sound that can be decoded; None where there is none."""
    return next((each for each in source.streams.audio if each.codec_context is not None), None)


def _sound_packets(cut: _Cut, source: Any, sound: Any) -> Iterator[Any]:
    """The packets of sound that begin within the cut."""
    zero = _zero(cut)
    source.seek(max(0, int((cut.start + zero) / sound.time_base)), stream=sound)
    for packet in source.demux(sound):
        if packet.pts is None or not packet.size:
            continue
        at = float(packet.pts * packet.time_base) - zero
        if at >= cut.end:
            return
        if at >= cut.start - _INSTANT:
            yield packet


def _zero(cut: _Cut) -> float:
    """Seconds of the file's own clock at which a player's stands at 0."""
    return float(cut.timeline.zero * cut.timeline.base)
