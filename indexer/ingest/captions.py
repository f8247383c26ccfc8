"""Captions for video-to-text: encoded and added to the gallery, each text once, with everything that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from indexer.catalog.caption_files import SUBTITLES, CaptionEntry, read_captions
from indexer.catalog.records import Video
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import writing
from indexer.disk.writer_lock import writer_lock
from indexer.store.library import Library
from indexer.store.publishing import publish_changes
from model.encoder import Encoder
from quartet.errors import InputError

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


def add_captions(library_path: Path, file: Path, encoder: Encoder, video: str | None = None) -> CaptionReport:
    """Add the captions of a file to a library.

    .txt holds a caption a line; .jsonl an object a line with "caption", "text" or a list of "captions", and
    perhaps "video"; .csv has "caption" or "text" and "video" as columns. A .srt or .vtt file is about the video
    of its own name (`talk.srt` or `talk.en.srt` of `talk.mp4`), and ties every text to its times in it. `video`
    names the video of all captions that name none, and of subtitles.

    A video is named by its file name, with or without suffix, or its path in its folder. Texts that the library
    has are not encoded again. Raises InputError if the file cannot be read or `video` is not in the library.
    """
    entries = list(read_captions(file))
    with writing(library_path), Library.open(library_path) as library:
        library.check_encoder(encoder.spec)
        with (
            writer_lock(library_path),
            closing(CatalogWriter(library.catalog.path, encoder.spec.levels)) as writer,
        ):
            by_name = video_names(library.catalog.list_videos(limit=None))
            if video is not None and normalize("NFC", video) not in by_name:
                raise InputError(f"The library has no video {video!r}.")
            described = [_described(entry, file, video, by_name) for entry in entries]
            ids = writer.caption_ids()
            new = [text for text in dict.fromkeys(entry.text for entry in entries) if text not in ids]
            add_texts(writer, new, ids, encoder)
            writer.add_caption_sources(
                (ids[entry.text], file.name, video_id, entry.start, entry.end)
                for entry, video_id in zip(entries, described, strict=True)
            )
            generation = publish_changes(library, writer, lambda: encoder)
    unmatched = sum(1 for entry, found in zip(entries, described, strict=True) if entry.video and found is None)
    return CaptionReport(len(new), len(entries) - len(new), len(ids), generation, unmatched)


def add_texts(writer: CatalogWriter, new: Sequence[str], ids: dict[str, int], encoder: Encoder) -> None:
    """Encode and stage texts, a batch at a time, and add their ids to `ids`."""
    for first in range(0, len(new), BATCH):
        texts = new[first : first + BATCH]
        added = writer.add_captions(texts, encoder.encode_texts(texts).vectors)
        ids.update(zip(texts, added, strict=True))


def _described(entry: CaptionEntry, file: Path, video: str | None, by_name: dict[str, int]) -> int | None:
    """The id of the video that a caption is about, None if it names none that the library has."""
    subtitles = file.suffix.lower() in SUBTITLES
    name = (video or entry.video) if subtitles else (entry.video or video)
    if name is None:
        return None
    name = normalize("NFC", name)
    # Players take talk.en.srt for the subtitles of talk.mp4.
    return by_name.get(name, by_name.get(Path(name).stem) if subtitles else None)


def video_names(videos: list[Video]) -> dict[str, int]:
    """Every name (in Unicode's form NFC) by which a caption may call a video; one that two share calls the first."""
    names: dict[str, int] = {}
    for name in ("relpath", "name", "title"):
        for video in videos:
            key = {"relpath": video.relpath, "name": video.path.name, "title": video.title}[name]
            names.setdefault(normalize("NFC", key), video.id)
    return names
