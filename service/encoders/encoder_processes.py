"""The encoder in processes of its own, where it runs on the CPU.

Python runs one thread at a time. In one process with the connections of 32 clients, the parser and the hundreds of
small calls of a network would wait for their turn among everything else, and everything else for theirs. And what
crashes a network, or the C code below it, ends its process: here that is not the service.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from model.encoder import EncoderSpec, Frames, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import Vectors, without_frames
from quartet.errors import ModelError, QuartetError
from service.encoders.encoder_worker import LIBRARIES, EncoderWorker, Load, WorkerEnded

LOG = logging.getLogger(__name__)

_POLL_INTERVAL = 0.25
"""Seconds between two looks at what is overdue, and before the first new try to start a process."""

_MAX_PAUSE = 30.0


class _NoneIdle(Exception):
    """No process has nothing to do."""


class EncoderProcesses:
    """`count` processes with an encoder each, behind the methods of `Encoder`, for any thread at any time.

    A call goes to a process that has nothing to do, and waits for one. Where a process dies, or does not answer within
    `timeout` seconds and is ended, the call that it had raises ModelError and another process starts, after which
    each of `restarted` is called; calls go on with the others. Where none is left and none starts, calls raise
    ModelError at once. `libraries`: what the server imports that they are forked from.

    Raises what `load` raises, and ModelError if a process ends before it is ready.
    """

    def __init__(self, load: Load, count: int, timeout: float = 30.0, libraries: Sequence[str] = LIBRARIES) -> None:
        self.identity = ""
        """See `SharedEncoder`."""
        self.restarted: set[Callable[[], None]] = set()
        self._users, self._counting = 1, threading.Lock()
        self._load = load
        self._count = count
        self._timeout = timeout
        self._idle: list[EncoderWorker] = []
        self._freed = threading.Condition()
        self._seeing: EncoderWorker | None = None  # the one that has what sees frames, where the others load it late
        self._closing = threading.Event()
        self._broken = ""
        self._libraries = libraries
        starting = [EncoderWorker(load, count, libraries) for _ in range(count)]
        self._all = set(starting)
        try:
            known = [process.ready() for process in starting]
        except BaseException:
            self.close()
            raise
        self._encoder = known[0]
        self._idle += starting
        self._watch = threading.Thread(target=self._end_overdue, name="overdue encoders", daemon=True)
        self._watch.start()

    @property
    def alive(self) -> int:
        """Processes that run, whether they have something to do or not."""
        return sum(process.alive for process in list(self._all))

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [process.pid for process in list(self._all) if process.alive]

    @property
    def spec(self) -> EncoderSpec:
        return self._encoder.spec

    @property
    def device(self) -> str:
        return self._encoder.device

    def encode_queries(self, texts: Sequence[str]) -> TextBatch:
        """Query vectors of texts for an index of clips, and the attributes of the texts.

        The networks need no parse before their last step: where another process has nothing to do, it parses meanwhile.
        """
        with self._process() as process, process.due(self._timeout):
            process.send("encode_queries", list(texts))
            process.send(self._parse_in_idle_process(texts) if self._encoder.staged else None)
            result: TextBatch = process.receive()
        return result

    def encode_clips(self, clips: Sequence[Frames]) -> Vectors:
        """As `SharedEncoder.encode_clips`."""
        result: Vectors = self._call("encode_clips", list(clips))
        return without_frames(result)

    def attributes(self, texts: Sequence[str]) -> list[Attributes]:
        result: list[Attributes] = self._call("attributes", list(texts)) if texts else []
        return result

    def clip_queries(self, vectors: Vectors) -> Vectors:
        result: Vectors = self._call("clip_queries", vectors)
        return result

    def concepts(self, vectors: Vectors, candidates: Sequence[Attributes]) -> list[Attributes]:
        if not candidates:
            return []
        if self._encoder.concepts is not None:
            return self._encoder.concepts(vectors, candidates)
        # Vectors of every hit go through a pipe: only those that are needed. The global level has no concepts.
        needed = {level: rows for level, rows in vectors.items() if level != "global"}
        result: list[Attributes] = self._call("concepts", needed, list(candidates))
        return result

    def unknown(self, candidates: Sequence[Attributes]) -> list[Attributes]:
        if self._encoder.concepts is not None:
            return self._encoder.concepts.unknown(candidates)
        result: list[Attributes] = self._call("unknown", list(candidates))
        return result

    def share(self) -> bool:
        """Count one more user, who closes it too; False if it is closed already."""
        with self._counting:
            self._users += not self._closing.is_set()
            return not self._closing.is_set()

    def close(self) -> None:
        """Stop the processes when the last user closes it. A call that is under way raises ModelError."""
        with self._counting:
            self._users -= 1
            if self._users > 0:
                return
            self._closing.set()
        for process in list(self._all):
            process.stop()
        with self._freed:
            self._freed.notify_all()

    def _call(self, method: str, *arguments: Any) -> Any:
        seeing = method == "encode_clips" and self._encoder.loads_clips_late
        with self._process(seeing=seeing) as process, process.due(process.limit(method, self._timeout)):
            return process.call(method, *arguments)

    def _parse_in_idle_process(self, texts: Sequence[str]) -> Any:
        """Parses of a process that has nothing to do. None where there is none, or where it fails."""
        try:
            with self._process(wait=False) as process, process.due(self._timeout):
                return process.call("parse", list(texts))
        except Exception as error:
            # Then the one that needs them parses, and what is wrong with these texts is raised there.
            if not isinstance(error, _NoneIdle):
                LOG.warning("Text parsing works again after %s: %s", type(error).__name__, error)
            return None

    @contextmanager
    def _process(self, wait: bool = True, seeing: bool = False) -> Iterator[EncoderWorker]:
        """A process that has nothing to do: `seeing`, the one that sees frames. Without `wait`, raises _NoneIdle."""
        process = self._take(wait, seeing)
        alive = True
        try:
            yield process
        except WorkerEnded as death:
            alive = False
            self._lost(process, death)
            raise ModelError(f"{death} A new process is starting. Try again.") from None
        finally:
            if alive:
                self._free(process)

    def _free(self, process: EncoderWorker) -> None:
        with self._freed:
            self._idle.append(process)
            self._freed.notify_all()

    def _take(self, wait: bool, seeing: bool) -> EncoderWorker:
        """See `_process`. One that ended while it had nothing to do costs nobody a call."""
        with self._freed:
            while True:
                if self._closing.is_set():
                    raise ModelError("The service is stopping and accepts no more requests.")
                if self._broken and not self.alive:
                    raise ModelError(f"No model process is running. {self._broken}")
                process = self._choose(seeing)
                if process is None and not wait:
                    raise _NoneIdle
                if process is None:
                    # In short turns: meanwhile the last process may turn out to be lost.
                    self._freed.wait(_POLL_INTERVAL)
                    continue
                self._idle.remove(process)
                if process.alive:
                    return process
                self._lost(process, WorkerEnded(process.end()))

    def _choose(self, seeing: bool) -> EncoderWorker | None:
        """An idle process. One alone sees frames, since that takes PyTorch; texts go to another where there is one."""
        if self._seeing not in self._all:
            self._seeing = None
        if seeing and self._seeing is not None:
            return self._seeing if self._seeing in self._idle else None
        found = next((one for one in self._idle if one is not self._seeing), next(iter(self._idle), None))
        if seeing:
            self._seeing = found
        return found

    def _lost(self, process: EncoderWorker, death: WorkerEnded) -> None:
        self._all.discard(process)
        if not self._closing.is_set():
            LOG.error("%s", death)
            threading.Thread(target=self._replace, name="new encoder", daemon=True).start()

    def _replace(self) -> None:
        """Start another process, and try again, later and later, where that fails."""
        pause = _POLL_INTERVAL
        while not self._closing.is_set():
            process = EncoderWorker(self._load, self._count, self._libraries)
            self._all.add(process)
            try:
                process.ready(self._timeout)
            except (QuartetError, OSError) as error:
                self._all.discard(process)
                self._broken = f"A new process cannot be started: {error}"
                LOG.error("A model process cannot be restarted. %s", error)
                self._closing.wait(pause)
                pause = min(_MAX_PAUSE, 2 * pause)
                continue
            if self._closing.is_set():
                process.stop()
                return
            self._broken = ""
            for listener in list(self.restarted):
                listener()
            self._free(process)
            return

    def _end_overdue(self) -> None:
        while not self._closing.wait(_POLL_INTERVAL):
            for process in list(self._all):
                process.end_if_overdue()
