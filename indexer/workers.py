"""Decoding in processes of its own: a file that crashes or hangs the decoder costs that file alone."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from indexer.decode import SampledClip, sample_frames
from indexer.thumbnails import thumbnail
from model.errors import QuartetError, VideoError

T = TypeVar("T")


@dataclass(frozen=True)
class DecodedClip:
    """The sampled frames of a whole file and its picture (WebP)."""

    clip: SampledClip
    picture: bytes


class DecodePool:
    """`workers` decoding processes, each driven by one thread that works off submitted jobs.

    A file that takes longer than `limit` seconds is given up and its process replaced.
    """

    def __init__(self, workers: int = 1, limit: float = 300.0) -> None:
        self._limit = limit
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._processes = [_Process() for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._closing = False

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run `job`, which may call `decode`, in one of the pool's threads."""
        return self._threads.submit(job)

    def decode(self, path: Path, count: int) -> DecodedClip:
        """Sample `count` frames of a file in a process of the pool. Raises VideoError."""
        process = self._idle.get()
        try:
            if self._closing:
                raise CancelledError
            return process.decode(path, count, self._limit)
        finally:
            self._idle.put(process)

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
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def decode(self, path: Path, count: int, limit: float) -> DecodedClip:
        pipe = self._pipe or self._start()
        try:
            pipe.send((path, count))
            if not pipe.poll(limit):
                self.stop()
                raise VideoError(path, "unreadable", f"Decoding took longer than {limit:g} s and was given up.")
            answer = pipe.recv()
        except (EOFError, ConnectionError) as error:
            self.stop()
            raise VideoError(path, "unreadable", "The decoder crashed on it.") from error
        if isinstance(answer, DecodedClip):
            return answer
        raise VideoError(path, *answer)

    def _start(self) -> Connection:
        # Spawned, not forked: a fork would share the threads and the FFmpeg state of this process.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="quartet-decode", daemon=True)
        # Ctrl-C reaches the whole group, but what it means is for the parent to decide: it closes the pipe.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        try:
            self._pipe.recv()
        except EOFError as error:
            self.stop()
            raise QuartetError(
                "The decoding process ended before it began. A script that indexes videos must do so "
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


def _serve(pipe: Connection) -> None:
    """Answer each (path, count) with a DecodedClip or with the reason and the detail of a refusal."""
    pipe.send("ready")
    try:
        while True:
            path, count = pipe.recv()
            pipe.send(_answer(path, count))
    except (EOFError, ConnectionError):
        # The parent has closed its end or died.
        return


def _answer(path: Path, count: int) -> DecodedClip | tuple[str, str]:
    try:
        clip = sample_frames(path, count)
    except VideoError as error:
        return error.reason, error.detail
    except QuartetError as error:
        return "unreadable", str(error)
    return DecodedClip(clip, thumbnail(clip.frames))
