"""The encoder in processes of its own, where it runs on the CPU.

Python runs one thread at a time. In one process with the connections of 32 clients, the parser and the hundreds of
small calls of a network would wait for their turn among everything else, and everything else for theirs. And what
crashes a network, or the C code below it, ends its process: here that is not the service.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from model.encoder import Encoder, EncoderSpec, Frames, StagedEncoder, TextBatch
from model.language.parsed_caption import Attributes
from model.levels import Vectors
from model.mcsan.concept_heads import ConceptReader
from quartet.errors import ModelError, QuartetError
from service.encoders.garbage_collection import startup_objects_frozen
from service.encoders.shared_encoder import as_queries

LOG = logging.getLogger(__name__)

_TURN = 0.25
"""Seconds between two looks at what is overdue, and before the first new try to start a process."""

_NAME = "quartet-encode"
_LONGEST_PAUSE = 30.0
_LOADING = 300.0
"""Seconds that a process has at least to load its model."""

_LIBRARIES = [
    "__main__",
    "model.mcsan.encoder",
    "torchvision",
    "indexer.media.decode_pool",
    "av",
    "service.encoders.frozen_start",
]
"""What the fork server imports. Uploads are decoded in processes of the same server."""

Load = Callable[[], Encoder]
"""Loads the encoder, in the process that will use it: a function that can be pickled."""


class EncoderProcesses:
    """`count` processes with an encoder each, behind the methods of `Encoder`, for any thread at any time.

    A call goes to a process that has nothing to do, and waits for one. Where a process dies, or does not answer within
    `timeout` seconds and is ended, the call that it had raises ModelError and another process starts, after which
    each of `restarted` is called; calls go on with the others. Where none is left and none starts, calls raise
    ModelError at once.

    Raises what `load` raises, and ModelError if a process ends before it is ready.
    """

    def __init__(self, load: Load, count: int, timeout: float = 30.0) -> None:
        self.restarted: set[Callable[[], None]] = set()
        self._users, self._counting = 1, threading.Lock()
        self._load = load
        self._count = count
        self._timeout = timeout
        self._idle: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._broken = ""
        starting = [_Process(load, count) for _ in range(count)]
        self._all = set(starting)
        try:
            known = [process.ready() for process in starting]
        except BaseException:
            self.close()
            raise
        self._encoder = known[0]
        for process in starting:
            self._idle.put(process)
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
        result: Vectors = self._call("encode_clips", list(clips))
        return result

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
        self._idle.put(None)

    def _call(self, method: str, *arguments: Any) -> Any:
        with self._process() as process, process.due(self._timeout):
            return process.call(method, *arguments)

    def _parse_in_idle_process(self, texts: Sequence[str]) -> Any:
        """Parses of a process that has nothing to do. None where there is none, or where it fails."""
        try:
            with self._process(wait=False) as process, process.due(self._timeout):
                return process.call("parse", list(texts))
        except Exception as error:
            # Then the one that needs them parses, and what is wrong with these texts is raised there.
            if not isinstance(error, queue.Empty):
                LOG.warning("Text parsing works again after %s: %s", type(error).__name__, error)
            return None

    @contextmanager
    def _process(self, wait: bool = True) -> Iterator[_Process]:
        """A process that has nothing to do. Without `wait`, raises queue.Empty where there is none."""
        process = self._take(wait)
        alive = True
        try:
            yield process
        except _ProcessEnded as death:
            alive = False
            self._lost(process, death)
            raise ModelError(f"{death} A new process is starting. Try again.") from None
        finally:
            if alive:
                self._idle.put(process)

    def _take(self, wait: bool) -> _Process:
        """See `_process`. One that ended while it had nothing to do costs nobody a call."""
        while True:
            if self._broken and not self.alive:
                raise ModelError(f"No model process is running. {self._broken}")
            try:
                # In short turns: meanwhile the last process may turn out to be lost.
                process = self._idle.get(block=wait, timeout=_TURN)
            except queue.Empty:
                if not wait:
                    raise
                continue
            if process is None:
                self._idle.put(None)
                raise ModelError("The service is stopping and accepts no more requests.")
            if process.alive:
                return process
            self._lost(process, _ProcessEnded(process.end()))

    def _lost(self, process: _Process, death: _ProcessEnded) -> None:
        self._all.discard(process)
        if not self._closing.is_set():
            LOG.error("%s", death)
            threading.Thread(target=self._replace, name="new encoder", daemon=True).start()

    def _replace(self) -> None:
        """Start another process, and try again, later and later, where that fails."""
        pause = _TURN
        while not self._closing.is_set():
            process = _Process(self._load, self._count)
            self._all.add(process)
            try:
                process.ready(self._timeout)
            except (QuartetError, OSError) as error:
                self._all.discard(process)
                self._broken = f"A new process cannot be started: {error}"
                LOG.error("A model process cannot be restarted. %s", error)
                self._closing.wait(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
                continue
            if self._closing.is_set():
                process.stop()
                return
            self._broken = ""
            for listener in list(self.restarted):
                listener()
            self._idle.put(process)
            return

    def _end_overdue(self) -> None:
        while not self._closing.wait(_TURN):
            for process in list(self._all):
                process.end_if_overdue()


def _started(*arguments: Any) -> BaseProcess:
    """A process that serves, forked from a server that has imported the libraries.

    Importing them takes seconds and 0.4 GB, which all processes then share. The server loads no model and runs nothing
    while it forks; this process is never forked, because a fork would copy locks that its threads hold. Only on Linux:
    elsewhere these libraries may not be forked.
    """
    if sys.platform == "linux":
        forking = multiprocessing.get_context("forkserver")
        forking.set_forkserver_preload(_LIBRARIES)
        forked = forking.Process(target=_serve, args=arguments, name=_NAME, daemon=True)
        try:
            forked.start()
            return forked
        except OSError as error:
            LOG.warning(
                "Model processes share no memory. Their server needs a writable TMPDIR with a short name: %s", error
            )
    spawned = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, name=_NAME, daemon=True)
    spawned.start()
    return spawned


class _ProcessEnded(Exception):
    """The process of a call has ended."""


@dataclass(frozen=True)
class _EncoderFacts:
    """What a process tells of its encoder. `concepts` is there where it can do without the encoder."""

    spec: EncoderSpec
    device: str
    staged: bool
    concepts: ConceptReader | None


class _Process:
    """One process with an encoder."""

    def __init__(self, load: Load, count: int) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = _started(theirs, load, count)
        theirs.close()
        self._due: float | None = None
        self._overdue = False

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @contextmanager
    def due(self, seconds: float) -> Iterator[None]:
        """What is called meanwhile has to be answered in time. A process that is stopped takes no message either."""
        self._due = time.monotonic() + seconds
        try:
            yield
        finally:
            self._due = None

    def end_if_overdue(self) -> None:
        due = self._due
        if due is not None and time.monotonic() > due:
            self._overdue = True
            self._process.kill()

    def ready(self, timeout: float | None = None) -> _EncoderFacts:
        """Wait until the encoder is loaded, at least `_LOADING` seconds where there is a `timeout`."""
        try:
            with nullcontext() if timeout is None else self.due(max(timeout, _LOADING)):
                known: _EncoderFacts = self.receive()
        except _ProcessEnded as death:
            raise ModelError(f"{death} It was loading the model.") from None
        except Exception:
            self.stop()
            raise
        return known

    def call(self, method: str, *arguments: Any) -> Any:
        """The result of a method of the encoder. Raises what it raises, and _ProcessEnded."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, *message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise _ProcessEnded(self.end()) from None

    def receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise _ProcessEnded(self.end()) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> str:
        """Wait for the end of the process; what to say of it."""
        self._process.join()
        if self._overdue:
            return "The model process did not answer in time and was stopped."
        code = self._process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
        return f"The model process ended with {how}."


def _serve(pipe: Connection, load: Load, count: int) -> None:
    """Load the encoder, then answer calls until the other end of the pipe is closed."""
    # Ctrl-C reaches the whole group, but what it means is for the service to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        encoder = _load_encoder(load, count)
        reader = encoder.concepts if isinstance(encoder.concepts, ConceptReader) else None
        pipe.send(_EncoderFacts(encoder.spec, encoder.device, isinstance(encoder, StagedEncoder), reader))
        queries = partial(_encode_queries, encoder, pipe)
        with startup_objects_frozen():
            while True:
                method, *arguments = pipe.recv()
                pipe.send(_answer(queries if method == "encode_queries" else getattr(encoder, method), arguments))
    except QuartetError as error:
        pipe.send(error)
    except (EOFError, ConnectionError):
        # The service has closed its end or died.
        return


def _encode_queries(encoder: Encoder, pipe: Connection, texts: list[str]) -> TextBatch:
    """See `EncoderProcesses.encode_queries`: behind the texts come their parses, or None."""
    staged = encoder if isinstance(encoder, StagedEncoder) else None
    try:
        states = staged.forward(staged.tokenize(texts)) if staged else None
    finally:
        (parses,) = pipe.recv()
    if staged is None:
        return as_queries(encoder, encoder.encode_texts(texts))
    return as_queries(encoder, staged.finish(staged.parse(texts) if parses is None else parses, states))


def _load_encoder(load: Load, count: int) -> Encoder:
    import torch
    from threadpoolctl import threadpool_limits

    # Threads that wait for work spin for a while: more of them than cores, over all processes, slow each other down.
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))
    threadpool_limits(limits=1, user_api="blas")
    return load()


def _answer(call: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The result of a call, or the error that it raised as one that can be sent."""
    try:
        return call(*arguments)
    except Exception as error:
        LOG.exception("The model failed.")
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return ModelError(f"{type(error).__name__}: {error}")
        return error
