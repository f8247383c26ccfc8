"""SubRip (.srt), WebVTT (.vtt, https://www.w3.org/TR/webvtt1/) and Advanced SubStation Alpha (.ass, .ssa) subtitles.

Own code, because what reads subtitles elsewhere steps over lines that it does not understand: here they are named.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from quartet.errors import InputError

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_OVERRIDES = re.compile(r"\{[^}]*\}")
_DRAWING = re.compile(r"\{[^}]*\\p[1-9]")
"""Of ASS: what follows is a shape, not text."""
_NOT_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION", "X-TIMESTAMP-MAP")


@dataclass(frozen=True)
class Cue:
    """Text that is shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def read_cues(name: str, content: str) -> Iterator[Cue]:
    """The cues of a subtitle file in their order, without mark-up; those without text are left out.

    Raises InputError, with the file's `name`, for a line that is not part of a cue.
    """
    for first, block in _blocks(content):
        # A cue may have a number or a name of one line before its times.
        at = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
        if at is None:
            if block[0].startswith(_NOT_CUES):
                continue
            raise InputError(f"{name}, line {first}: a cue needs times, like 00:00:01.000 --> 00:00:04.000, before it.")
        times = _TIMES.fullmatch(block[at])
        if times is None:
            raise InputError(f"{name}, line {first + at}: {block[at].strip()!r} is not a cue time.")
        start, end = _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])
        if end <= start:
            raise InputError(f"{name}, line {first + at}: the cue ends before it begins.")
        text = html.unescape(_TAGS.sub("", " ".join(block[at + 1 :]))).strip()
        if text:
            yield Cue(start, end, text)


def read_ass_cues(name: str, content: str) -> Iterator[Cue]:
    """The cues of an ASS file in their order, without mark-up; comments and drawings are left out.

    Raises InputError, with the file's `name`, for an event that cannot be read.
    """
    section, fields = "", list[str]()
    for number, line in enumerate(content.split("\n"), start=1):
        if line.startswith("["):
            section = line.strip().lower()
        kind, _, rest = line.partition(":")
        if section != "[events]" or kind not in ("Format", "Dialogue"):
            continue
        if kind == "Format":
            fields = [field.strip().lower() for field in rest.split(",")]
            continue
        # The text is the last field, and may have commas.
        event = dict(zip(fields, rest.split(",", max(len(fields) - 1, 0)), strict=False))
        times = [re.fullmatch(_TIME, event.get(field, "").strip()) for field in ("start", "end")]
        if times[0] is None or times[1] is None or "text" not in event:
            raise InputError(f"{name}, line {number}: an event needs the fields Start, End and Text of its format.")
        start, end = (_seconds(*time.groups()) for time in times if time is not None)
        text = re.sub(r"\\[Nnh]", " ", _OVERRIDES.sub("", event["text"])).strip()
        if end > start and text and not _DRAWING.search(event["text"]):
            yield Cue(start, end, text)


def _blocks(content: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, lines) of every run of lines that are not empty."""
    block: list[str] = []
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction}")
