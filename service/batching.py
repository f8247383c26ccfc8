"""One worker thread that owns the encoder and gathers concurrent requests into batches.

An encoder may be called from one thread at a time, and eight queries in one call cost little more than
one. So every use of the encoder is a job for this worker: it takes the job at the head of its line and,
with it, all waiting jobs of the same kind, up to a limit. Nothing waits for a batch to fill.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from model.errors import BusyError, ModelError

Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers a batch of payloads of one kind: one result for each, in order."""


@dataclass(frozen=True, eq=False)
class _Job:
    kind: str
    payload: Any
    future: Future[Any] = field(default_factory=Future)


class BatchWorker:
    """See the module.

    `handlers` maps each kind of job to the function that answers a batch of it; at most `max_batch` jobs
    go into one call and at most `max_waiting` wait. `retry_after` (seconds) is what a refused caller is told.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], *, max_batch: int, max_waiting: int, retry_after: float
    ) -> None:
        self._handlers = dict(handlers)
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._retry_after = retry_after
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._dead: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether jobs are accepted: False after `close` or when the worker has died."""
        return not self._closing and self._dead is None

    def submit(self, kind: str, payload: Any, *, admitted: bool = False) -> Future[Any]:
        """Queue a job and return the future of its result.

        A later step of a request that was let in before passes `admitted=True` and is never refused for
        a full queue: its number is bounded by the first steps. Raises BusyError when the queue is full
        and ModelError when the worker no longer runs.
        """
        job = _Job(kind, payload)
        with self._changed:
            if not self.alive:
                raise self._stopped()
            if not admitted and len(self._waiting) >= self._max_waiting:
                raise BusyError(self._retry_after)
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish the batch in hand, fail what still waits and stop. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        batch: list[_Job] = []
        try:
            while batch := self._next_batch():
                self._answer(batch)
        except BaseException as error:
            # Only what is no Exception gets here, such as SystemExit from inside a library: the thread
            # ends, so nobody may be left waiting for it.
            self._dead = error
        finally:
            with self._changed:
                left = [*batch, *self._waiting]
                self._waiting.clear()
                self._closing = True
            for job in left:
                if not job.future.done():
                    job.future.set_exception(self._stopped())

    def _next_batch(self) -> list[_Job]:
        """Wait for a job and take all of its kind, up to the limit; an empty list means: stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return []
            kind = self._waiting[0].kind
            batch = [job for job in self._waiting if job.kind == kind][: self._max_batch]
            taken = set(map(id, batch))
            self._waiting = deque(job for job in self._waiting if id(job) not in taken)
        return batch

    def _answer(self, batch: list[_Job]) -> None:
        jobs = [job for job in batch if job.future.set_running_or_notify_cancel()]
        if not jobs:
            return
        try:
            results = self._handlers[jobs[0].kind]([job.payload for job in jobs])
            answers = list(zip(jobs, results, strict=True))
        except Exception as error:
            for job in jobs:
                job.future.set_exception(error)
            return
        for job, result in answers:
            job.future.set_result(result)

    def _stopped(self) -> ModelError:
        cause = f" after {type(self._dead).__name__}: {self._dead}" if self._dead is not None else ""
        return ModelError(f"The encoder worker has stopped{cause}. Restart the service.")
