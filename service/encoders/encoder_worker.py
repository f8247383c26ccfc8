"""One process with an encoder: how it starts, what runs in it, and how calls reach it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from indexer.media.forked_process import start_process
from model.encoder import Encoder, EncoderSpec, StagedEncoder, TextBatch
from model.mcsan.checkpoint_encoder import CheckpointEncoder
from model.mcsan.concept_heads import ConceptReader
from quartet.errors import ModelError, QuartetError
from service.encoders.garbage_collection import startup_objects_frozen
from service.encoders.shared_encoder import as_queries

LOG = logging.getLogger(__name__)

_NAME = "quartet-encode"
_LOADING = 300.0
"""Seconds that a process has at least to load its model."""


LIBRARIES = ["__main__", "model.mcsan.encoder", "indexer.media.decode_pool", "av", "service.encoders.frozen_start"]
"""What the fork server imports. Uploads are decoded in processes of the same server."""

WITH_PYTORCH = ["torch", "torchvision", *LIBRARIES]
"""The same for encoders that encode texts by PyTorch."""

Load = Callable[[], Encoder]
"""Loads the encoder, in the process that will use it: a function that can be pickled."""


class WorkerEnded(Exception):
    """The process of a call has ended."""


@dataclass(frozen=True)
class EncoderFacts:
    """What a process tells of its encoder. `concepts` is there where it can do without the encoder.

    loads_clips_late  the first call with clips loads the networks that see frames
    """

    spec: EncoderSpec
    device: str
    staged: bool
    concepts: ConceptReader | None
    loads_clips_late: bool


class EncoderWorker:
    """One process with an encoder."""

    def __init__(self, load: Load, count: int, libraries: Sequence[str] = LIBRARIES) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = start_process(_serve, (theirs, load, count), _NAME, libraries)
        self._loads_clips_late = False
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
        """A limit for what is called meanwhile, sending included: a stopped process reads nothing."""
        self._due = time.monotonic() + seconds
        try:
            yield
        finally:
            self._due = None

    def limit(self, method: str, seconds: float) -> float:
        """Seconds that a call may take: more for the first one with clips, where that loads what sees frames."""
        if method != "encode_clips" or not self._loads_clips_late:
            return seconds
        self._loads_clips_late = False
        return max(seconds, _LOADING)

    def end_if_overdue(self) -> None:
        due = self._due
        if due is not None and time.monotonic() > due:
            self._overdue = True
            self._process.kill()

    def ready(self, timeout: float | None = None) -> EncoderFacts:
        """Wait until the encoder is loaded, at least `_LOADING` seconds where there is a `timeout`."""
        try:
            with nullcontext() if timeout is None else self.due(max(timeout, _LOADING)):
                known: EncoderFacts = self.receive()
                self._loads_clips_late = known.loads_clips_late
        except WorkerEnded as death:
            raise ModelError(f"{death} It was loading the model.") from None
        except Exception:
            self.stop()
            raise
        return known

    def call(self, method: str, *arguments: Any) -> Any:
        """The result of a method of the encoder. Raises what it raises, and WorkerEnded."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, *message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise WorkerEnded(self.end()) from None

    def receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerEnded(self.end()) from None
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
        late = isinstance(encoder, CheckpointEncoder) and encoder.device == "cpu"
        pipe.send(EncoderFacts(encoder.spec, encoder.device, isinstance(encoder, StagedEncoder), reader, late))
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
    from threadpoolctl import threadpool_limits

    # Threads that wait for work spin for a while: more of them than cores, over all processes, slow each other down.
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # where PyTorch is imported later, and for OpenVINO
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
