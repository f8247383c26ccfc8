"""Subtitles that a container carries as text: SubRip, ASS, WebVTT and MP4 timed text. Pictures of text are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.media.header import open_container, refusal

_FORMATS = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}
_MARKUP = re.compile(r"\{[^}]*\}|<[^>]*>")
_OWN_ZERO = {"mov", "mp4", "matroska", "webm"}
"""Containers whose clock has a zero of its own (docs/decoding.md, "The clock"). In others it begins at their start."""

_USUAL = 4.0
"""Seconds that a text is shown where its packet does not say."""


@dataclass(frozen=True)
class StreamText:
    """A text that is shown from `start` to `end` seconds, and the language that its stream declares."""

    start: float
    end: float
    text: str
    language: str | None


def read_subtitle_streams(path: Path) -> Iterator[StreamText]:
    """The texts of all subtitle streams of a file, in the order of its packets. Raises VideoError."""
    import av

    try:
        with open_container(path) as container:
            streams = [each for each in container.streams.subtitles if _is_text(each)]
            if not streams:
                return
            zero = zero_of(container)
            for packet in container.demux(streams):
                if packet.pts is None or packet.time_base is None or not packet.size:
                    continue
                start = float(packet.pts * packet.time_base) - zero
                length = float(packet.duration * packet.time_base) if packet.duration else _USUAL
                text = _text(packet)
                if text and start + length > 0:
                    language = packet.stream.language
                    yield StreamText(max(start, 0.0), start + length, text, None if language == "und" else language)
    except av.error.FFmpegError as error:
        raise refusal(path, error) from error


def zero_of(container: Any) -> float:
    """Where the player's clock begins, in seconds by the stamps of a container."""
    import av

    own_zero = set(container.format.name.split(",")) & _OWN_ZERO
    return 0.0 if own_zero else float((container.start_time or 0) / av.time_base)


def _is_text(stream: Any) -> bool:
    return stream.codec_context is not None and stream.codec_context.codec.canonical_name in _FORMATS


def _text(packet: Any) -> str:
    """What a packet shows, without mark-up and on one line."""
    import av

    try:
        found = [_of(rectangle) for rectangle in packet.decode()]
    except av.error.InvalidDataError:
        return ""
    return " ".join(" ".join(found).split())


def _of(rectangle: Any) -> str:
    ass = getattr(rectangle, "ass", None)
    if ass:
        # FFmpeg gives every kind as a line of ASS: eight fields, then the text.
        line = (ass.decode("utf-8", "replace") if isinstance(ass, bytes) else ass).split(",", 8)[-1]
    else:
        text = getattr(rectangle, "text", "") or ""
        line = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return _MARKUP.sub("", line.replace("\\N", " ").replace("\\n", " ").replace("\\h", " "))
