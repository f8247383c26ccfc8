"""Reading captions: text, JSONL, CSV, and subtitles (SubRip, WebVTT, ASS), which tie text to times."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from shlex import quote

from indexer.texts.subtitles import read_ass_cues, read_cues
from quartet.errors import InputError

SUBTITLES = (".srt", ".vtt", ".ass", ".ssa")

_DELIMITERS = (",", ";", "\t", "|")
"""Between the fields of a CSV file: spreadsheets write semicolons where the comma is the decimal sign."""

_MAX_SECONDS = 1e9
_CLOCK = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:[.,]\d*)?)")
"""Seconds, perhaps after minutes, perhaps after hours."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark theirs begins with.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a file may begin with (the Unicode Standard, 23.8), and Python's name of the encoding."""


@dataclass(frozen=True)
class CaptionEntry:
    """A caption as a file gives it: its text, the name of its video, and which part of it, in seconds."""

    text: str
    video: str | None = None
    start: float | None = None
    end: float | None = None


def read_captions(file: Path) -> Iterator[CaptionEntry]:
    """Every caption of a file, runs of white space made one space.

    Raises InputError naming the line that cannot be used, or if the file holds no captions or cannot be read.
    """
    readers = {".txt": _from_text, ".jsonl": _from_jsonl, ".csv": _from_csv, **dict.fromkeys(SUBTITLES, _from_cues)}
    if file.suffix.lower() not in readers:
        raise InputError(f"{file.name}: captions are read from {', '.join(readers)} files.")
    content = _text(file)
    found = False
    for entry in readers[file.suffix.lower()](file, content):
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in entry.text):
            # JSON can escape what no text holds and no database keeps.
            raise InputError(f"{file.name}: the caption {ascii(entry.text)[:80]} contains an invalid character.")
        found = True
        yield entry
    if not found:
        raise InputError(f"{file.name} has no captions.")


def _text(file: Path) -> str:
    """The text of a file in the encoding that its byte-order mark names; without a mark, UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise InputError(f"{file.name} begins like {encoding.upper()} but is damaged.") from error
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file.name} is not UTF-8 text: line {line} contains the byte {content[error.start]:#04x}. Save "
            f"it as UTF-8 (if it is Western European: iconv -f WINDOWS-1252 -t UTF-8 {quote(file.name)})."
        ) from error
    if "\0" in text:
        # Among them UTF-16 without a mark, every second byte of which is zero.
        raise InputError(f"{file.name} is not UTF-8 text: it contains zero bytes. Save it as UTF-8.")
    # As where Python opens a file for reading: lines may end in any of the three ways.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _from_text(file: Path, content: str) -> Iterator[CaptionEntry]:
    for line in content.split("\n"):
        if line.strip():
            yield CaptionEntry(_spaced(line))


def _from_jsonl(file: Path, content: str) -> Iterator[CaptionEntry]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (RecursionError, ValueError) as error:
            raise InputError(f"{file.name}, line {number}: not a JSON object ({error}).") from error
        if isinstance(entry, dict) and isinstance(entry.get("captions"), list):
            for caption in entry["captions"]:
                yield _entry(file, number, {**entry, "caption": caption})
        else:
            yield _entry(file, number, entry)


def _from_csv(file: Path, content: str) -> Iterator[CaptionEntry]:
    for delimiter in _DELIMITERS:
        rows = csv.reader(StringIO(content, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            columns = [name.strip().lower() for name in next(rows, [])]
            if {"caption", "text"} & set(columns):
                for row in rows:
                    if row:
                        yield _entry(file, rows.line_num, dict(zip(columns, row, strict=False)))
                return
        except csv.Error as error:
            raise InputError(f"{file.name}, line {rows.line_num}: {error}.") from error
    if content.strip():
        raise InputError(
            f'{file.name}, line 1: needs a header with a column "caption" (or "text"); "video" names the video.'
        )


def _from_cues(file: Path, content: str) -> Iterator[CaptionEntry]:
    read = read_ass_cues if file.suffix.lower() in (".ass", ".ssa") else read_cues
    for cue in read(file.name, content):
        yield CaptionEntry(_spaced(cue.text), file.stem, cue.start, cue.end)


def _entry(file: Path, line: int, entry: object) -> CaptionEntry:
    found = entry if isinstance(entry, dict) else {}
    text, video = found.get("caption", found.get("text")), found.get("video")
    if not isinstance(text, str) or not text.strip() or not isinstance(video, str | None):
        raise InputError(f'{file.name}, line {line}: needs a "caption" (or "text") and may have a "video", both text.')
    try:
        return CaptionEntry(_spaced(text), video or None, *_times(found.get("start"), found.get("end")))
    except ValueError as error:
        raise InputError(
            f'{file.name}, line {line}: "start" and "end" must both be times, as seconds (65.5) or as 0:01:05.5, and '
            f"start must not be after end. They are {found.get('start')!r} and {found.get('end')!r}."
        ) from error


def _times(*values: object) -> tuple[float | None, float | None]:
    """Start and end in seconds, or neither. Raises ValueError for anything else."""
    start, end = map(_seconds, values)
    if (start is None) != (end is None) or (start or 0) > (end or 0):
        raise ValueError
    return start, end


def _seconds(value: object) -> float | None:
    """A time in seconds, None where there is none. Raises ValueError for what is not a time."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_SECONDS:
        return float(value)
    clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if clock is None:
        raise ValueError
    hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in clock.groups())
    return 3600 * hours + 60 * minutes + seconds


def _spaced(text: str) -> str:
    return " ".join(text.split())
