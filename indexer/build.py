"""Indexing: from files to a published generation.

    walk -> plan -> [hash, decode] in workers -> encode in batches -> catalogue, a video at a time -> publish

Vectors are staged in the catalogue in the transaction that adds their clip, so a run that is killed at any
instant loses at most the videos in flight, and the next run goes on where it ended.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from indexer.assemble import publish_changes
from indexer.catalog import Failure, Video
from indexer.catalog_writer import CatalogWriter, FileState
from indexer.durable import file_sha256
from indexer.library import Library, exists, next_number, thumbnail_path
from indexer.lock import writer_lock
from indexer.scan import make_plan, resolve_inputs
from indexer.thumbnails import save_thumbnail
from indexer.workers import DecodedClip, DecodePool
from model.encoder import Encoder
from model.errors import VideoError

BATCH = 8
"""Clips per call of the encoder."""

_AHEAD = 2
"""Files decoded ahead of the encoder, beyond one batch, per worker: bounds the memory of waiting frames."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` files, `clips` encoded in it, `path` the file just dealt with."""

    done: int
    total: int
    path: Path | None
    clips: int


@dataclass(frozen=True)
class IndexReport:
    """What a run did, in numbers of files.

    refused lists every file under the inputs that cannot be used, also those known from earlier runs;
    clips_total is what the live generation holds; interrupted means that files are left for another run.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    refused: list[Failure]
    clips_total: int
    generation: str
    seconds: float
    interrupted: bool


@dataclass(frozen=True)
class _Prepared:
    """A file with its hash, and what it is: new frames, a video that the library knows, or nothing usable."""

    file: FileState
    outcome: DecodedClip | Video | VideoError


def index_videos(
    library_path: Path,
    inputs: Sequence[Path],
    encoder: Encoder,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int = 1,
) -> IndexReport:
    """Bring a library up to date with the files and folders `inputs`, making it if there is none.

    Files that were indexed and have not changed are skipped, moved ones keep their clips, changed ones are
    encoded again, and videos under `inputs` whose files have gone leave the library. Ctrl-C publishes what is
    complete. Raises InputError for a path that does not exist, FingerprintError for another model's library,
    LibraryError for one that is damaged or held by another writer.
    """
    began = time.monotonic()
    sources = resolve_inputs(inputs)
    opened = Library.open(library_path) if exists(library_path) else Library.create(library_path, encoder.spec)
    with opened as library:
        library.check_encoder(encoder.spec)
        with (
            writer_lock(library_path),
            closing(CatalogWriter(library.catalog.path, encoder.spec.levels)) as writer,
        ):
            run = _Run(library, writer, encoder, on_progress or (lambda progress: None))
            interrupted = run.go(sources, workers)
            generation = publish_changes(library, writer)
            failures = library.catalog.failures()
        under = [f for f in failures if any(f.path.is_relative_to(source) for source in sources)]
        return IndexReport(
            indexed=run.indexed,
            unchanged=run.unchanged,
            moved=run.moved,
            removed=run.removed,
            refused=under,
            clips_total=library.catalog.counts().clips,
            generation=generation,
            seconds=time.monotonic() - began,
            interrupted=interrupted,
        )


class _Run:
    """One indexing run and its counters."""

    def __init__(
        self,
        library: Library,
        writer: CatalogWriter,
        encoder: Encoder,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.library = library
        self.writer = writer
        self.encoder = encoder
        self.on_progress = on_progress
        self.indexed = self.unchanged = self.moved = self.removed = 0
        self._done = self._total = 0
        self._next = next_number(library.path)

    def go(self, sources: Sequence[Path], workers: int) -> bool:
        """Deal with every file; returns whether it was interrupted."""
        pool = DecodePool(workers)
        try:
            self._deal_with(sources, pool, workers)
        except KeyboardInterrupt:
            return True
        finally:
            pool.close()
        return False

    def _deal_with(self, sources: Sequence[Path], pool: DecodePool, workers: int) -> None:
        for source in sources:
            self.writer.add_root(source if source.is_dir() else source.parent)
        known = self.library.catalog.list_videos(limit=None)
        plan = make_plan(sources, self.library.path, known, self.writer.failed_files())
        self._total = len(plan.work) + len(plan.unchanged) + len(plan.refused)
        self._done = len(plan.unchanged) + len(plan.refused)
        self.unchanged = len(plan.unchanged)
        self._tell(None)
        self.writer.forget_failures(plan.forgotten)
        for folder, problem in plan.closed.items():
            detail = f"The folder cannot be listed: {problem}."
            self.writer.add_failure(FileState(folder, 0, 0.0), "unreadable", detail)
        finder = _ContentFinder(known)
        batch: list[tuple[FileState, DecodedClip]] = []
        for prepared in self._prepare(plan.work, finder, pool, workers):
            file, outcome = prepared.file, prepared.outcome
            if isinstance(outcome, DecodedClip):
                batch.append((file, outcome))
                if len(batch) == BATCH:
                    self._encode(batch)
                    batch = []
            elif isinstance(outcome, Video):
                self._keep(file, outcome)
            else:
                self._refuse(file, outcome, finder.at(file.path))
        if batch:
            self._encode(batch)
        gone = [video.id for video in plan.missing if video.id not in finder.claimed]
        self.writer.remove_videos(gone, self._next)
        self.removed = len(gone)

    def _prepare(
        self, work: Sequence[FileState], finder: _ContentFinder, pool: DecodePool, workers: int
    ) -> Iterator[_Prepared]:
        """Hashed and decoded files in the order of `work`, a bounded number of them ahead."""
        frames = self.encoder.spec.frames_per_clip

        def prepare(file: FileState) -> _Prepared:
            try:
                _require_unicode(file.path)
                file = replace(file, sha256=file_sha256(file.path))
                return _Prepared(file, finder.claim(file) or pool.decode(file.path, frames))
            except VideoError as error:
                return _Prepared(file, error)
            except OSError as error:
                detail = f"The file cannot be read: {error.strerror}."
                return _Prepared(file, VideoError(file.path, "unreadable", detail))

        waiting: deque[Future[_Prepared]] = deque()
        for file in work:
            waiting.append(pool.submit(partial(prepare, file)))
            if len(waiting) > BATCH + _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _encode(self, batch: Sequence[tuple[FileState, DecodedClip]]) -> None:
        vectors = self.encoder.encode_clips([decoded.clip.frames for _, decoded in batch])
        for row, (file, decoded) in enumerate(batch):
            own = {name: rows[row] for name, rows in vectors.items()}
            self.writer.add_video(
                file, decoded.clip.info, own, self._next, partial(self._save_picture, decoded.picture)
            )
            self.indexed += 1
            self._finish(file.path)

    def _save_picture(self, picture: bytes, clip_id: int) -> None:
        save_thumbnail(thumbnail_path(self.library.path, clip_id), picture)

    def _keep(self, file: FileState, video: Video) -> None:
        self.writer.move_video(video.id, file, self._next)
        if video.path == file.path:
            self.unchanged += 1
        else:
            self.moved += 1
        self._finish(file.path)

    def _refuse(self, file: FileState, error: VideoError, before: Video | None) -> None:
        """List a file as refused; if it was a good video before, its clips leave the library."""
        self.writer.add_failure(file, error.reason, error.detail)
        if before is not None:
            self.writer.remove_videos([before.id], self._next)
        self._finish(file.path)

    def _finish(self, path: Path) -> None:
        self._done += 1
        self._tell(path)

    def _tell(self, path: Path | None) -> None:
        self.on_progress(Progress(self._done, self._total, path, self.indexed))


def _require_unicode(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise VideoError(path, "unreadable", "Its name is not valid Unicode. Rename the file.") from error


class _ContentFinder:
    """Recognises the videos of the library by content. Safe to ask from many threads."""

    def __init__(self, known: Sequence[Video]) -> None:
        self._by_path = {video.path: video for video in known}
        self._missing: dict[tuple[int, str], list[Video]] = {}
        for video in known:
            if not video.path.exists():
                self._missing.setdefault((video.size, video.sha256), []).append(video)
        self._lock = threading.Lock()
        self.claimed: set[int] = set()

    def at(self, path: Path) -> Video | None:
        """The video that the library has at a path, whatever lies there now."""
        return self._by_path.get(path)

    def claim(self, file: FileState) -> Video | None:
        """The video with the content of `file` at its path, or whose own file has gone; each once."""
        content = (file.size, file.sha256)
        here = self._by_path.get(file.path)
        if here is not None and (here.size, here.sha256) == content:
            return here
        with self._lock:
            candidates = self._missing.get(content)
            if not candidates:
                return None
            video = candidates.pop()
            self.claimed.add(video.id)
            return video
