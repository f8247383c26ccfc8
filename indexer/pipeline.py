"""From files to vectors, in stages that overlap:

    [hash, decode] in workers  ->  encode in batches, on a thread  ->  write, on the caller's thread

Every arrow is a bounded queue, so that a slow stage holds up the ones before it instead of filling the memory.
A batch is what has been decoded by the time the encoder is free. It never waits for more: a slow decoder
does not hold back finished clips, which are written and safe at once, and a slow encoder gets full batches.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from indexer.catalog import Video
from indexer.catalog_writer import FileState
from indexer.decode import VideoInfo
from indexer.durable import file_sha256
from indexer.progress import Meter
from indexer.workers import DecodedClip, DecodePool
from model.encoder import Encoder
from model.errors import VideoError
from model.levels import FloatArray

BATCH = 8
"""Most clips per call of the encoder."""

_AHEAD = 2
"""Files decoded ahead of the encoder, beyond one batch, per worker: bounds the memory of waiting frames."""

_UNWRITTEN = 4 * BATCH
"""Most encoded files that wait to be written."""


@dataclass(frozen=True)
class Encoded:
    """A new or changed video: what it is, its picture (WebP), and one vector (d_l,) per level."""

    file: FileState
    info: VideoInfo
    picture: bytes
    vectors: dict[str, FloatArray]


@dataclass(frozen=True)
class Known:
    """A file with the content of a video that the library holds."""

    file: FileState
    video: Video


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used."""

    file: FileState
    error: VideoError


Outcome = Encoded | Known | Refused


@dataclass(frozen=True)
class _Decoded:
    file: FileState
    decoded: DecodedClip


def outcomes(
    work: Sequence[FileState],
    recognise: Callable[[FileState], Video | None],
    encoder: Encoder,
    workers: int,
    meter: Meter,
) -> Generator[Outcome, None, None]:
    """What has become of each file of `work`, in that order.

    recognise  called in the decoding threads with a file and its hash: the video with that content, or None
    Closing the generator early stops every stage. An error of the encoder is raised here.
    """
    return _Pipeline(recognise, encoder, workers, meter).run(work)


class _Pipeline:
    def __init__(
        self, recognise: Callable[[FileState], Video | None], encoder: Encoder, workers: int, meter: Meter
    ) -> None:
        self._recognise = recognise
        self._encoder = encoder
        self._meter = meter
        self._workers = workers
        self._pool = DecodePool(workers)
        self._results: SimpleQueue[Outcome | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(_UNWRITTEN)
        self._stopped = threading.Event()

    def run(self, work: Sequence[FileState]) -> Generator[Outcome, None, None]:
        thread = threading.Thread(target=self._encode_all, args=(work,), name="encode")
        thread.start()
        try:
            while (result := self._results.get()) is not None:
                if isinstance(result, BaseException):
                    raise result
                self._room.release()
                yield result
        finally:
            self._stopped.set()
            self._room.release()
            self._pool.close()
            thread.join()

    def _encode_all(self, work: Sequence[FileState]) -> None:
        """The body of the encoding thread. It ends with None, or with what went wrong."""
        try:
            for batch in self._batches(work):
                for outcome in self._encode(batch):
                    self._room.acquire()
                    if self._stopped.is_set():
                        return
                    self._results.put(outcome)
        # The caller's thread raises it; after a stop nobody listens, and a closed pool is why it came.
        except BaseException as error:
            self._results.put(error)
        else:
            self._results.put(None)

    def _batches(self, work: Sequence[FileState]) -> Iterator[list[_Decoded | Known | Refused]]:
        """Files in the order of `work`: those that are ready, at least one and at most BATCH."""
        files = iter(work)
        most = BATCH + _AHEAD * self._workers

        def submit(count: int) -> Iterator[Future[_Decoded | Known | Refused]]:
            return (self._pool.submit(partial(self._prepare, file)) for file in islice(files, count))

        waiting = deque(submit(most))
        while waiting:
            batch = [waiting.popleft().result()]
            while waiting and len(batch) < BATCH and waiting[0].done():
                batch.append(waiting.popleft().result())
            waiting.extend(submit(most - len(waiting)))
            yield batch

    def _prepare(self, file: FileState) -> _Decoded | Known | Refused:
        with self._meter.working("decode"):
            try:
                _require_unicode(file.path)
                file = replace(file, sha256=file_sha256(file.path))
                video = self._recognise(file)
                if video is not None:
                    return Known(file, video)
                return _Decoded(file, self._pool.decode(file.path, self._encoder.spec.frames_per_clip))
            except VideoError as error:
                return Refused(file, error)
            except OSError as error:
                detail = f"The file cannot be read: {error.strerror}."
                return Refused(file, VideoError(file.path, "unreadable", detail))

    def _encode(self, batch: Sequence[_Decoded | Known | Refused]) -> Iterator[Outcome]:
        """`batch` in its order, with the decoded clips encoded in one call."""
        clips = [item.decoded.clip.frames for item in batch if isinstance(item, _Decoded)]
        vectors = {}
        if clips:
            with self._meter.working("encode"):
                vectors = self._encoder.encode_clips(clips)
        row = 0
        for item in batch:
            if isinstance(item, _Decoded):
                own = {level: rows[row] for level, rows in vectors.items()}
                yield Encoded(item.file, item.decoded.clip.info, item.decoded.picture, own)
                row += 1
            else:
                yield item


def _require_unicode(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise VideoError(path, "unreadable", "Its name is not valid Unicode. Rename the file.") from error
