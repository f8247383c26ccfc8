"""Decoding in processes of its own: a file that crashes or hangs the decoder costs that file alone.

A process sends the clips of a file one after the other, and goes on decoding while there is room in its pipe:
neither side ever holds a whole file.

A video from a stranger, an upload and not a file of the library, is decoded in a process made for it alone.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from indexer.media.clip_reader import SampledClip, read_clips, sample_frames
from indexer.media.decode_limits import UNLIMITED, UNTRUSTED, Limits
from indexer.media.forked_process import start_process
from indexer.media.segmentation import WHOLE, Segmentation
from indexer.media.still_pictures import FORMATS, read_picture
from indexer.media.thumbnails import strip, thumbnail
from quartet.errors import QuartetError, VideoError

T = TypeVar("T")


_SIGN = 1.0
"""Seconds between signs of life of a process that decodes."""


@dataclass(frozen=True)
class DecodedClip:
    """The sampled frames of a clip, its picture and its contact strip (WebP, `indexer.media.thumbnails`)."""

    clip: SampledClip
    picture: bytes
    strip: bytes


@dataclass(frozen=True)
class _Task:
    """Which clips of a file are wanted; see `read_clips`. `part`: that part alone, or the file's picture."""

    path: Path
    count: int
    segmentation: Segmentation
    skip: int
    limits: Limits
    part: Part | None = None


@dataclass(frozen=True)
class Part:
    """A part of a video, in seconds; without an end to its end. A picture has no parts: it is taken whole."""

    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class _Refusal:
    reason: str
    detail: str


_SIGN_OF_LIFE = "alive"
_COMPLETE = "complete"


class DecodePool:
    """`workers` decoding processes, each driven by one thread that works off submitted jobs.

    A file is given up, and its process replaced, when no packet of it is read for `limit` seconds. However long a
    file is, it is not given up while it goes on, unless `limits` say so.
    """

    def __init__(self, workers: int = 1, limit: float = 300.0, limits: Limits = UNLIMITED) -> None:
        self._limit = limit
        self._limits = limits
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._processes = [_Process() for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._closing = False

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run `job`, which may call `clips`, in one of the pool's threads."""
        return self._threads.submit(job)

    def clips(
        self, path: Path, count: int, segmentation: Segmentation = WHOLE, skip: int = 0, part: Part | None = None
    ) -> Generator[DecodedClip, None, None]:
        """The clips of a file in the order of time but the first `skip`, decoded in a process of the pool.

        part  only this one, or a picture as a clip of one frame

        Raises VideoError. The file may turn out to be unusable after some clips. Closing the generator early gives
        the file up.
        """
        process = self._idle.get()
        try:
            if self._closing:
                raise CancelledError
            yield from process.clips(_Task(path, count, segmentation, skip, self._limits, part), self._limit)
        finally:
            self._idle.put(process)

    def stop(self) -> None:
        """End the processes, whatever they are doing: who waits for them sees a crash. `close` does the rest."""
        self._closing = True
        for process in self._processes:
            process.kill()

    def close(self) -> None:
        """Drop what has not begun and stop the processes, whatever they are doing."""
        self._closing = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.kill()
        self._threads.shutdown()
        for process in self._processes:
            process.stop()


class _Process:
    """One decoding process, started at its first file and again after it has died."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def clips(self, task: _Task, limit: float) -> Generator[DecodedClip, None, None]:
        answer: Any = None
        try:
            pipe = self._pipe or self._start()
            pipe.send(task)
            end = time.monotonic() + task.limits.seconds
            while answer != _COMPLETE:
                left = end - time.monotonic()
                if left <= 0 or not pipe.poll(min(limit, left)):
                    raise _given_up(task, limit, over=left <= limit)
                answer = pipe.recv()
                if isinstance(answer, _Refusal):
                    raise VideoError(task.path, answer.reason, answer.detail)
                if isinstance(answer, DecodedClip):
                    yield answer
        except (EOFError, ConnectionError) as error:
            raise VideoError(task.path, "unreadable", "The decoder crashed on this file.") from error
        finally:
            # In the middle of a file a process is of no more use.
            if not (answer == _COMPLETE or isinstance(answer, _Refusal)):
                self.stop()

    def _start(self) -> Connection:
        self._pipe, theirs = Pipe()
        self._process = start_process(_serve, (theirs,), "quartet-decode", ["__main__", __name__, "av"])
        theirs.close()
        try:
            self._pipe.recv()
        except EOFError as error:
            self.stop()
            raise QuartetError(
                "The decoding process ended before it was ready. A script must index videos "
                'under `if __name__ == "__main__":`.'
            ) from error
        return self._pipe

    def kill(self) -> None:
        """End the process at once; whoever waits for it sees a crash."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None


def _given_up(task: _Task, limit: float, over: bool) -> VideoError:
    if over:
        detail = f"It took more than {task.limits.seconds:g} s to decode. Quartet stopped decoding it."
        return VideoError(task.path, "over-limit", detail)
    return VideoError(task.path, "unreadable", f"The decoder did nothing for {limit:g} s. Quartet stopped decoding it.")


def _serve(pipe: Connection) -> None:
    """Answer each task with the clips of the file, and at last _COMPLETE or a _Refusal."""
    # The fork server of a service was started by others, who may have let it through.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send("ready")
    try:
        while True:
            task = pipe.recv()
            if task.limits.niceness:
                os.setpriority(os.PRIO_PROCESS, 0, task.limits.niceness)
            if task.limits.memory is not None:
                _limit_growth(task.limits.memory)
            pipe.send(_answer(pipe, task))
    except (EOFError, ConnectionError):
        # The parent has closed its end or died.
        return


def _limit_growth(memory: int) -> None:
    """Let this process map `memory` bytes more than it has: the libraries of its fork server do not count."""
    statm = Path("/proc/self/statm")
    mapped = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = mapped + memory
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _near_its_limit(memory: int | None) -> bool:
    """Whether this process has at some time mapped more than half of the `memory` that it was given."""
    status = Path("/proc/self/status")
    if memory is None or not status.exists():
        return False
    peak = next((line for line in status.read_text().splitlines() if line.startswith("VmPeak")), "VmPeak: 0 kB")
    return int(peak.split()[1]) * 1024 > resource.getrlimit(resource.RLIMIT_AS)[0] - memory / 2


def _answer(pipe: Connection, task: _Task) -> str | _Refusal:
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > _SIGN:
            pipe.send(_SIGN_OF_LIFE)
            last = time.monotonic()

    try:
        if task.part is not None:
            pipe.send(DecodedClip(_part(task, task.part, alive), b"", b""))
            return _COMPLETE
        for clip in read_clips(task.path, task.count, task.segmentation, alive, skip=task.skip, limits=task.limits):
            pipe.send(DecodedClip(clip, thumbnail(clip.frames), strip(clip.frames)))
    except VideoError as error:
        # FFmpeg's threads may take an allocation that failed for a damaged frame.
        if error.reason in ("truncated", "unreadable") and _near_its_limit(task.limits.memory):
            return _Refusal("over-limit", "Decoding it needs more memory than the limit, or the file is damaged.")
        return _Refusal(error.reason, error.detail)
    except QuartetError as error:
        return _Refusal("unreadable", str(error))
    except MemoryError:
        return _Refusal("over-limit", "Decoding it needs more memory than the limit.")
    return _COMPLETE


def _part(task: _Task, part: Part, alive: Callable[[], None]) -> SampledClip:
    picture = read_picture(task.path, task.limits)
    if picture is not None:
        return picture
    try:
        return sample_frames(task.path, task.count, part.start, part.end, alive, task.limits)
    except VideoError as error:
        if error.reason != "not-a-video":
            raise
        detail = f"{error.detail} Pictures may be {', '.join(FORMATS)}."
        raise VideoError(task.path, error.reason, detail) from error


class UntrustedDecoding:
    """`count` frames of a file, as `clip_reader.sample_frames` takes them, in a process made for it alone.

    What the file does to its decoder, it does to that process, which is ended in any case: it crashes, hangs, or
    fills the memory without harm. Nothing of the file is kept.

    part  of the video, which may then also be a picture (`still_pictures.read_picture`); None: a whole video
    """

    def __init__(self, path: Path, count: int, limits: Limits = UNTRUSTED, part: Part | None = None) -> None:
        self._path, self._count, self._part = path, count, part
        self._pool = DecodePool(limits=limits)

    def run(self) -> SampledClip:
        """The frames. Raises VideoError if the file cannot be used, goes past a limit, or `stop` was called."""
        with closing(self._pool) as pool:
            (decoded,) = pool.clips(self._path, self._count, part=self._part)
        return decoded.clip

    def stop(self) -> None:
        """End the process, from any thread. `run` then raises."""
        self._pool.stop()


def decode_untrusted(path: Path, count: int, limits: Limits = UNTRUSTED, part: Part | None = None) -> SampledClip:
    """See `UntrustedDecoding`."""
    return UntrustedDecoding(path, count, limits, part).run()
