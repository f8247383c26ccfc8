"""The texts that come with videos: subtitle files next to them, and subtitle streams inside of them.

They are read at the end of a run, for every video under its inputs whose texts are new or have changed. What is told
at the time of a clip is then evidence for it (docs/search.md), and all of it can be searched for exact words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from indexer.catalog.records import FileState, Video
from indexer.catalog.text_writer import TextState, TimedText, drop_texts, known_texts, put_texts
from indexer.catalog.writer import CatalogWriter
from indexer.media.subtitle_streams import StreamText, read_subtitle_streams
from indexer.search.filters import clean_language
from indexer.texts.caption_files import SUBTITLES, read_captions
from indexer.texts.captions import add_texts
from indexer.texts.text_makers import TextMaker
from model.encoder import Encoder
from quartet.errors import InputError, VideoError

INSIDE = ""
"""The name under which the subtitle streams of a video are known."""

_NOT_LANGUAGES = {"sdh", "cc", "forced", "default", "full"}


@dataclass
class TextReport:
    """lines: those that were read, of how many files; refused: subtitle files that cannot be used."""

    lines: int = 0
    files: int = 0
    refused: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Line:
    text: str
    start: float | None
    end: float | None
    language: str | None


class VideoTexts:
    """Brings the texts of videos up to date.

    encoder  that of the library
    makers   make texts that no file has; what they made before stays where one is not asked again
    """

    def __init__(self, writer: CatalogWriter, encoder: Encoder, makers: Sequence[TextMaker] = ()) -> None:
        self._writer = writer
        self._encoder = encoder
        self._makers = tuple(makers)
        self._ids: dict[str, int] | None = None
        self.report = TextReport()

    def update(self, videos: Sequence[Video]) -> None:
        """Read what is new or has changed of the texts of these videos, and forget those whose files have gone."""
        known = known_texts(self._writer.engine, [video.id for video in videos])
        beside = subtitles_beside([video.path for video in videos])
        for video in videos:
            before = known.get(video.id, {})
            there = {path.name: path for path in beside.get(video.path, [])}
            for name in before.keys() - there.keys():
                if not name.lower().endswith(SUBTITLES):
                    continue
                drop_texts(self._writer.engine, video.id, name, name)
            for name, path in there.items():
                self._read(video, name, path, before.get(name), partial(_lines_beside, path))
            self._read(
                video, INSIDE, video.path, before.get(INSIDE), partial(_lines, read_subtitle_streams, video.path)
            )
            for maker in self._makers:
                self._read(video, maker.name, video.path, before.get(maker.name), partial(_lines, maker.texts, video))

    def _read(
        self, video: Video, name: str, path: Path, before: TextState | None, lines: Callable[[], Iterator[_Line]]
    ) -> None:
        try:
            status = path.stat()
            state = TextState(status.st_size, status.st_mtime)
            if state == before:
                return
            found = list(lines())
        except (InputError, VideoError) as error:
            if path != video.path:
                detail = error.detail if isinstance(error, VideoError) else str(error)
                self._writer.add_failure(FileState(path, -1, 0.0), "unreadable", detail)
                self.report.refused.append(path)
            return
        except OSError:
            # It has gone since the folder was listed: the next run sees it.
            return
        if self._ids is None:
            self._ids = self._writer.caption_ids()
        ids = self._ids
        add_texts(
            self._writer,
            [text for text in dict.fromkeys(line.text for line in found) if text not in ids],
            ids,
            self._encoder,
        )
        texts = [TimedText(ids[line.text], line.start, line.end, line.language) for line in found]
        put_texts(self._writer.engine, video.id, name, name or path.name, state, texts)
        self.report.lines += len(texts)
        self.report.files += bool(texts)


def subtitles_beside(videos: Sequence[Path]) -> dict[Path, list[Path]]:
    """The subtitle files that belong to each of these videos: talk.srt, talk.en.vtt of talk.mp4.

    A file belongs to the video whose name without suffix is the longest that it begins with.
    """
    folders: dict[Path, list[Path]] = {}
    for video in videos:
        folders.setdefault(video.parent, []).append(video)
    found: dict[Path, list[Path]] = {}
    for folder, own in folders.items():
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUBTITLES)
        except OSError:
            continue
        by_stem: dict[str, list[Path]] = {}
        for video in own:
            by_stem.setdefault(video.stem, []).append(video)
        for path in files:
            stem = path.stem
            while stem not in by_stem and "." in stem:
                stem = stem.rpartition(".")[0]
            for video in by_stem.get(stem, []):
                found.setdefault(video, []).append(path)
    return found


def language_of(path: Path) -> str | None:
    """`en` for talk.en.srt and talk.eng.forced.srt; None where the name does not say."""
    for part in path.stem.split(".")[:0:-1]:
        if part.lower() in _NOT_LANGUAGES:
            continue
        try:
            return clean_language(part)
        except InputError:
            return None
    return None


def _lines_beside(path: Path) -> Iterator[_Line]:
    language = language_of(path)
    for entry in read_captions(path):
        yield _Line(entry.text, entry.start, entry.end, language)


def _lines(read: Callable[[Any], Iterator[StreamText]], source: object) -> Iterator[_Line]:
    for line in read(source):
        try:
            language = clean_language(line.language) if line.language else None
        except InputError:
            language = None
        yield _Line(line.text, line.start, line.end, language)
