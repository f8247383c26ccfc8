"""From files to vectors, in stages that overlap:

    hash, decode: in workers  ->  encode, in batches: a thread  ->  write: the caller's thread

Every arrow is a bounded queue, so that a slow stage holds up the previous ones it instead of filling the memory.
A batch is what has been decoded by the time the encoder is free. It never waits for more: a slow decoder
does not hold back finished clips, which are written and safe at once, and a slow encoder gets full batches.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from indexer.catalog.records import FileState, NewClip
from indexer.disk.durable_files import file_sha256
from indexer.media.decode_pool import DecodedClip, DecodePool
from indexer.pipeline.contract import Job
from indexer.pipeline.file_outcomes import ClipCollector, Cut, Known, Outcome, Refused
from indexer.pipeline.progress import Meter
from model.encoder import Encoder
from model.levels import finite_rows
from quartet.errors import VideoError

BATCH = 8
"""Most clips per call of the encoder."""

_FILES_AHEAD = 2
"""Files decoded ahead of the encoder, beyond one batch, per worker."""

_CLIPS_AHEAD = 4
"""Most clips of one file that wait for the encoder: with the files ahead, this bounds the memory of frames."""

PART = 32
"""Clips of a file that are written together. However long the file is, a stop costs about as many of them."""

_UNWRITTEN = 4 * BATCH
"""Most encoded files that wait to be written."""

_POLL_INTERVAL = 0.2
"""Seconds after which a stage that waits for another looks whether all have been stopped."""


@dataclass(frozen=True)
class _Begun:
    """The clips that follow are those of a file."""

    file: FileState
    cut: Cut


@dataclass(frozen=True)
class _Complete:
    """All clips of a file have been decoded."""


_Item = _Begun | DecodedClip | _Complete | Known | Refused
"""What decoding gives of a file: its beginning, clips and completion, or one of the others, perhaps after clips."""


def open_pool(workers: int = 1) -> DecodePool:
    """Processes that decode, for whoever makes clips of files."""
    return DecodePool(workers)


class LocalPipeline:
    """A `Pipeline` of this process and `workers` that decode, which it starts when they are first needed."""

    def __init__(self, encoder: Encoder, workers: int = 1) -> None:
        self._encoder = encoder
        self._workers = workers
        self._pool: DecodePool | None = None

    @property
    def lanes(self) -> Mapping[str, int]:
        return {"decode": self._workers, "encode": 1}

    def outcomes(self, jobs: Sequence[Job], meter: Meter) -> Generator[Outcome, None, None]:
        self._pool = self._pool or open_pool(self._workers)
        try:
            yield from _Stages(self._encoder, self._pool, self._workers, meter).run(jobs)
        except BaseException:
            # They may be in the middle of a file.
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


class _Stages:
    """One run through the stages."""

    def __init__(self, encoder: Encoder, pool: DecodePool, workers: int, meter: Meter) -> None:
        self._encoder = encoder
        self._pool = pool
        self._workers = workers
        self._meter = meter
        self._results: Queue[Outcome | BaseException | None] = Queue(_UNWRITTEN)
        self._stopped = threading.Event()

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        thread = threading.Thread(target=self._encode_all, args=(jobs,), name="encode")
        thread.start()
        try:
            while (result := self._results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            self._stopped.set()
            thread.join()

    def _encode_all(self, jobs: Sequence[Job]) -> None:
        """The body of the encoding thread: it gives outcomes, then None or what went wrong."""
        try:
            for batch in self._batches(jobs):
                encoded = self._encode([item for item in batch if isinstance(item, DecodedClip)])
                for item in batch:
                    match item:
                        case _Begun():
                            gathering = ClipCollector(item.file, item.cut)
                        case DecodedClip():
                            clip = next(encoded)
                            if gathering.refused:
                                continue
                            if not finite_rows({name: row[None] for name, row in clip.vectors.items()})[0]:
                                gathering.refuse(clip)
                                continue
                            # The last clips of a file come with its completion, so that this is never the end.
                            if len(gathering.clips) == PART:
                                self._put(self._results, gathering.part())
                            gathering.add(clip, item.clip.info)
                        case _Complete():
                            self._put(self._results, gathering.complete())
                        case _:
                            self._put(self._results, item)
            self._put(self._results, None)
        except BaseException as error:
            # The caller raises it; once it has stopped the stages, it waits for nothing.
            with suppress(CancelledError):
                self._put(self._results, error)

    def _encode(self, decoded: Sequence[DecodedClip]) -> Iterator[NewClip]:
        if decoded:
            with self._meter.working("encode"):
                vectors = self._encoder.encode_clips([item.clip.frames for item in decoded])
            for row, item in enumerate(decoded):
                own = {level: rows[row] for level, rows in vectors.items()}
                yield NewClip(*item.clip.span, own, item.picture, item.strip)

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[_Item]]:
        """What is ready, in the order of `jobs`: with at least one item and at most BATCH clips."""
        batch: list[_Item] = []
        for item in self._items(jobs):
            if item is not None:
                batch.append(item)
            if batch and (item is None or sum(isinstance(each, DecodedClip) for each in batch) == BATCH):
                yield batch
                batch = []
        if batch:
            yield batch

    def _items(self, jobs: Sequence[Job]) -> Iterator[_Item | None]:
        """Items in the order of `jobs`, and None whenever the next one is still to be waited for."""
        begun = (self._begin(job) for job in jobs)
        waiting = deque(islice(begun, BATCH + _FILES_AHEAD * self._workers))
        while waiting:
            if waiting[0].empty():
                yield None
            item = self._get(waiting[0])
            if isinstance(item, BaseException):
                raise item
            if not isinstance(item, _Begun | DecodedClip):
                waiting.popleft()
                waiting.extend(islice(begun, 1))
            yield item

    def _begin(self, job: Job) -> Queue[_Item | BaseException]:
        """Have a worker decode a file; returns where it puts what it gets."""
        items: Queue[_Item | BaseException] = Queue(_CLIPS_AHEAD)
        self._pool.submit(partial(self._decode, job, items))
        return items

    def _decode(self, job: Job, items: Queue[_Item | BaseException]) -> None:
        file = job.file
        try:
            with self._meter.working("decode"):
                _require_unicode(file.path)
                file = replace(file, sha256=file_sha256(file.path))
            cut = job.cut(file.sha256)
            if cut is None:
                self._put(items, Known(file))
                return
            self._put(items, _Begun(file, cut))
            self._decode_clips(file, cut, items)
            self._put(items, _Complete())
        except VideoError as error:
            self._put(items, Refused(file, error))
        except OSError as error:
            detail = f"The file cannot be read: {error.strerror}."
            self._put(items, Refused(file, VideoError(file.path, "unreadable", detail)))
        # Whatever it is, the run must end with it instead of waiting for this file.
        except BaseException as error:
            self._put(items, error)

    def _decode_clips(self, file: FileState, cut: Cut, items: Queue[_Item | BaseException]) -> None:
        count = self._encoder.spec.frames_per_clip
        with closing(self._pool.clips(file.path, count, cut.segmentation, cut.kept)) as clips:
            while True:
                with self._meter.working("decode"):
                    clip = next(clips, None)
                if clip is None:
                    return
                self._put(items, clip)

    def _put(self, queue: Queue[Any], item: object) -> None:
        """Raises CancelledError once the stages have been stopped."""
        while not self._stopped.is_set():
            try:
                return queue.put(item, timeout=_POLL_INTERVAL)
            except Full:
                continue
        raise CancelledError

    def _get(self, queue: Queue[Any]) -> Any:
        """Raises CancelledError once the stages have been stopped."""
        while not self._stopped.is_set():
            try:
                return queue.get(timeout=_POLL_INTERVAL)
            except Empty:
                continue
        raise CancelledError


def _require_unicode(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise VideoError(path, "unreadable", "Its name is not valid Unicode. Rename the file.") from error
