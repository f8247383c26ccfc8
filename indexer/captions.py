"""Captions for video-to-text: read from text, JSONL or CSV, encoded, added to the gallery, each text once."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.assemble import publish_changes
from indexer.catalog import Video
from indexer.catalog_writer import CatalogWriter
from indexer.library import Library
from indexer.lock import writer_lock
from model.encoder import Encoder
from model.errors import InputError

BATCH = 64
"""Captions per call of the encoder and per transaction."""


@dataclass(frozen=True)
class CaptionReport:
    """added new texts; duplicates (texts that were there already); total in the gallery; the live generation.

    `unmatched` counts captions that name a video which the library does not have: they are added without it.
    """

    added: int
    duplicates: int
    total: int
    generation: str
    unmatched: int = 0


def add_captions(library_path: Path, file: Path, encoder: Encoder) -> CaptionReport:
    """Add the captions of a file to a library.

    .txt holds a caption a line; .jsonl an object a line with "caption", "text" or a list of "captions", and
    perhaps "video"; .csv has "caption" or "text" and "video" as columns. A video is named by its file name, with
    or without suffix, or its path in its folder. Texts that the library has are not encoded again. Raises
    InputError if the file cannot be read.
    """
    entries = list(read_captions(file))
    with Library.open(library_path) as library:
        library.check_encoder(encoder.spec)
        with (
            writer_lock(library_path),
            closing(CatalogWriter(library.catalog.path, encoder.spec.levels)) as writer,
        ):
            by_name = video_names(library.catalog.list_videos(limit=None))
            ids = writer.caption_ids()
            new = [text for text in dict.fromkeys(text for text, _ in entries) if text not in ids]
            for first in range(0, len(new), BATCH):
                texts = new[first : first + BATCH]
                added = writer.add_captions(texts, encoder.encode_texts(texts).vectors)
                ids.update(zip(texts, added, strict=True))
            sources = [(ids[text], file.name, by_name.get(video or "")) for text, video in entries]
            writer.add_caption_sources(sources)
            generation = publish_changes(library, writer)
    unmatched = sum(1 for _, video in entries if video and video not in by_name)
    return CaptionReport(len(new), len(entries) - len(new), len(ids), generation, unmatched)


def read_captions(file: Path) -> Iterator[tuple[str, str | None]]:
    """(text, name of its video or None) for every caption of a file; runs of white space become one space.

    Raises InputError naming the line that cannot be used.
    """
    readers = {".txt": _from_text, ".jsonl": _from_jsonl, ".csv": _from_csv}
    if file.suffix.lower() not in readers:
        raise InputError(f"{file.name}: captions are read from {', '.join(readers)} files.")
    try:
        content = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file.name} is not UTF-8 text. Save it as UTF-8.") from error
    found = False
    for text, video in readers[file.suffix.lower()](file, content):
        found = True
        yield " ".join(text.split()), video or None
    if not found:
        raise InputError(f"{file.name} holds no captions.")


def _from_text(file: Path, content: str) -> Iterator[tuple[str, str | None]]:
    for line in content.splitlines():
        if line.strip():
            yield line, None


def _from_jsonl(file: Path, content: str) -> Iterator[tuple[str, str | None]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise InputError(f"{file.name}, line {number}: not a JSON object ({error}).") from error
        if isinstance(entry, dict) and isinstance(entry.get("captions"), list):
            for caption in entry["captions"]:
                yield _entry(file, number, {"caption": caption, "video": entry.get("video")})
        else:
            yield _entry(file, number, entry)


def _from_csv(file: Path, content: str) -> Iterator[tuple[str, str | None]]:
    reader = csv.DictReader(content.splitlines())
    for entry in reader:
        yield _entry(file, reader.line_num, entry)


def _entry(file: Path, line: int, entry: object) -> tuple[str, str | None]:
    found = entry if isinstance(entry, dict) else {}
    text, video = found.get("caption", found.get("text")), found.get("video")
    if not isinstance(text, str) or not text.strip() or not isinstance(video, str | None):
        raise InputError(f'{file.name}, line {line}: needs a "caption" (or "text") and may have a "video", both text.')
    return text, video


def video_names(videos: list[Video]) -> dict[str, int]:
    """Every name by which a caption may call a video; a name that two videos share calls the first."""
    names: dict[str, int] = {}
    for name in ("relpath", "name", "title"):
        for video in videos:
            key = {"relpath": video.relpath, "name": video.path.name, "title": video.title}[name]
            names.setdefault(key, video.id)
    return names
