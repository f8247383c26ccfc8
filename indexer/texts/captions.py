"""Captions for video-to-text: encoded and added to the gallery, each text once, with everything that it came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from indexer.catalog.records import Video
from indexer.catalog.writer import CatalogWriter
from indexer.disk.durable_files import writing
from indexer.disk.writer_lock import writer_lock
from indexer.store.layout import next_number
from indexer.store.library import Library
from indexer.store.publishing import publish_changes
from indexer.texts.caption_files import SUBTITLES, CaptionEntry, read_captions
from model.encoder import Encoder
from model.levels import finite_rows
from quartet.errors import InputError

BATCH = 64
"""Captions per call of the encoder and per transaction."""


@dataclass(frozen=True)
class CaptionReport:
    """added new texts; duplicates (texts that were there already); total in the gallery; the live generation.

    `unmatched` counts captions that name a video which the library does not have: they are added without it.
    `refused` are texts for which the model gave vectors that are not finite: they are not added.
    """

    added: int
    duplicates: int
    total: int
    generation: str
    unmatched: int = 0
    refused: Sequence[str] = ()


@dataclass(frozen=True)
class CaptionRemoval:
    """Numbers of texts that left the gallery and that it has now, and the live generation."""

    removed: int
    total: int
    generation: str


def add_captions(library_path: Path, file: Path, encoder: Encoder, video: str | None = None) -> CaptionReport:
    """Add the captions of a file to a library.

    .txt holds a caption a line; .jsonl one object per line with "caption", "text" or a list of "captions", and
    perhaps "video", "start" and "end"; .csv has them as columns. A subtitle file is about the video
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
            refused = add_texts(writer, new, ids, encoder)
            writer.add_caption_sources(
                (ids[entry.text], file.name, video_id, entry.start, entry.end)
                for entry, video_id in zip(entries, described, strict=True)
                if entry.text in ids
            )
            generation = publish_changes(library, writer)
    unmatched = sum(1 for entry, found in zip(entries, described, strict=True) if entry.video and found is None)
    duplicates = len(entries) - len(new)
    return CaptionReport(len(new) - len(refused), duplicates, len(ids), generation, unmatched, refused)


def add_texts(writer: CatalogWriter, new: Sequence[str], ids: dict[str, int], encoder: Encoder) -> list[str]:
    """Encode and stage texts, a batch at a time, and add their ids to `ids`. Returns those that cannot be used."""
    refused = []
    for first in range(0, len(new), BATCH):
        batch = new[first : first + BATCH]
        vectors = encoder.encode_texts(batch).vectors
        finite = finite_rows(vectors)
        refused += [text for text, usable in zip(batch, finite, strict=True) if not usable]
        texts = [text for text, usable in zip(batch, finite, strict=True) if usable]
        added = writer.add_captions(texts, {name: rows[finite] for name, rows in vectors.items()})
        ids.update(zip(texts, added, strict=True))
    return refused


def remove_captions(
    library_path: Path,
    texts: Collection[str] = (),
    sources: Collection[str] = (),
    erase_now: bool = False,
) -> CaptionRemoval:
    """Remove captions of a library, by their texts or by the names of the files that they came from.

    A text that other files have given too forgets these files, and stays. When they are gone from answers and from the
    disk, `erase_now`: as for `indexer.store.management.remove_videos`.
    Raises InputError, before anything changes, for a text or a file that the library does not have.
    """
    with writing(library_path), Library.open(library_path) as library, writer_lock(library_path):
        levels = library.current().manifest.levels
        with closing(CatalogWriter(library.catalog.path, levels)) as writer:
            known, by_source = writer.caption_ids(), writer.caption_sources()
            leaving = writer.leaving_captions(library.settled())
            for text in texts:
                if text not in known and text not in leaving:
                    raise InputError(f"The library has no caption {text!r}.")
            for source in sources:
                if source not in by_source:
                    raise InputError(f"The library has no captions from {source!r}.")
            gone = {known[text] for text in texts if text in known}
            gone |= set(writer.captions_only_from(sources))
            writer.remove_captions(sorted(gone), sources, next_number(library_path))
            generation = publish_changes(library, writer, erase_now=erase_now)
        removed = len(gone) + sum(text in leaving for text in texts)
        return CaptionRemoval(removed, library.catalog.counts().captions, generation)


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
