"""The part of its pictures that a container says is shown. FFmpeg reads it, and PyAV does not give it.

Matroska: the elements PixelCropLeft, -Top, -Right and -Bottom (RFC 9559, 5.1.4.1.28). MP4 and QuickTime: the box `clap`
(ISO/IEC 14496-12, "Pixel Aspect Ratio and Clean Aperture").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

Place = tuple[int, int]
"""Where the content of an element or box begins and ends in the file."""


class Crop(NamedTuple):
    """Stored pixels that are not shown on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def declared_crop(path: Path, formats: frozenset[str], place: int, size: tuple[int, int]) -> Crop:
    """What is cut off the pictures, of this size, of video track number `place` of a file.

    Nothing where the file does not say or says what cannot be.
    """
    read = _matroska if "matroska" in formats else _mp4 if "mov" in formats else None
    if read is None:
        return Crop()
    try:
        with path.open("rb") as file:
            crops = list(read(file, (0, path.stat().st_size), size))
    except (OSError, struct.error, ValueError, ZeroDivisionError):
        return Crop()
    crop = crops[place] if place < len(crops) else Crop()
    inside = min(crop) >= 0 and crop.left + crop.right < size[0] and crop.top + crop.bottom < size[1]
    return crop if inside else Crop()


_SEGMENT, _TRACKS, _TRACK, _TYPE, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0, 0x1F43B675
_SIDES = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
_VIDEO_TRACK = 1


def _matroska(file: BinaryIO, whole: Place, size: tuple[int, int]) -> Iterator[Crop]:
    for name, segment in _elements(file, whole):
        if name != _SEGMENT:
            continue
        for part, content in _elements(file, segment):
            if part == _TRACKS:
                for track, place in _elements(file, content):
                    if track == _TRACK:
                        yield from _matroska_track(file, place)
            if part in (_TRACKS, _CLUSTER):
                return


def _matroska_track(file: BinaryIO, track: Place) -> Iterator[Crop]:
    kind, sides = 0, [0, 0, 0, 0]
    for name, content in _elements(file, track):
        if name == _TYPE:
            kind = _number(file, content)
        elif name == _VIDEO:
            for part, place in _elements(file, content):
                if part in _SIDES:
                    sides[_SIDES.index(part)] = _number(file, place)
    if kind == _VIDEO_TRACK:
        yield Crop(*sides)


def _elements(file: BinaryIO, inside: Place) -> Iterator[tuple[int, Place]]:
    """Id and content of each element."""
    start, stop = inside
    while start < stop:
        file.seek(start)
        head = file.read(12)
        width = 9 - head[0].bit_length() if head else 9
        if width > 4 or len(head) < width + 1:
            return
        length_width = 9 - head[width].bit_length()
        if length_width > 8:
            return
        length = int.from_bytes(head[width : width + length_width]) & ((1 << 7 * length_width) - 1)
        begin = start + width + length_width
        unknown = length == (1 << 7 * length_width) - 1
        past = stop if unknown else min(begin + length, stop)
        yield int.from_bytes(head[:width]), (begin, past)
        start = past


def _number(file: BinaryIO, place: Place) -> int:
    file.seek(place[0])
    return int.from_bytes(file.read(min(place[1] - place[0], 8)))


_VISUAL_ENTRY = 78
"""Bytes of a sample entry of pictures before its boxes."""


def _mp4(file: BinaryIO, whole: Place, size: tuple[int, int]) -> Iterator[Crop]:
    for movie in _boxes(file, whole, b"moov"):
        for track in _boxes(file, movie, b"trak"):
            for media in _boxes(file, track, b"mdia"):
                for information in _boxes(file, media, b"minf"):
                    if any(_boxes(file, information, b"vmhd")):
                        yield _mp4_track(file, information, size)


def _mp4_track(file: BinaryIO, information: Place, size: tuple[int, int]) -> Crop:
    for table in _boxes(file, information, b"stbl"):
        for begin, stop in _boxes(file, table, b"stsd"):
            for entry, entry_stop in _boxes(file, (begin + 8, stop)):
                for place, _ in _boxes(file, (entry + _VISUAL_ENTRY, entry_stop), b"clap"):
                    file.seek(place)
                    wide, wide_by, high, high_by, *offsets = struct.unpack(">IIIIiIiI", file.read(32))
                    return _aperture((wide / wide_by, high / high_by), offsets, size)
                return Crop()
    return Crop()


def _aperture(shown: tuple[float, float], offsets: list[int], size: tuple[int, int]) -> Crop:
    """A clean aperture is given by its size and by how far its middle is from that of the picture."""
    right_by, down_by = offsets[0] / offsets[1], offsets[2] / offsets[3]
    left, top = round((size[0] - shown[0]) / 2 + right_by), round((size[1] - shown[1]) / 2 + down_by)
    return Crop(left, top, size[0] - left - round(shown[0]), size[1] - top - round(shown[1]))


def _boxes(file: BinaryIO, inside: Place, wanted: bytes | None = None) -> Iterator[Place]:
    """The content of each box, or of each of a type."""
    start, stop = inside
    while start + 8 <= stop:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            head = 16
        past = stop if length == 0 else min(start + length, stop)
        if past < start + head:
            return
        if wanted in (None, kind):
            yield start + head, past
        start = past
