"""Worker threads that gather concurrent requests into batches.

Eight queries in one call of a model cost little more than one. A free worker takes the job at the head of the
line and, with it, waiting jobs of the same kind: as many as leave an equal share to the other workers, so that all
of them are busy with batches rather than one with all and the others with the rest. Nothing waits for a batch to fill.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from quartet.errors import BusyError, ModelError

LOG = logging.getLogger(__name__)

Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers a batch of payloads of one kind: one result for each, in order; an exception among them fails its job."""


class Observer(Protocol):
    """What is told of the work: see `service.observe.metrics`."""

    def batch_done(self, kind: str, size: int) -> None: ...
    def worker_restarted(self) -> None: ...


@dataclass(frozen=True, eq=False)
class _Job:
    kind: str
    payload: Any
    size: int
    future: Future[Any] = field(default_factory=Future)
    queued: float = field(default_factory=time.perf_counter)


class WorkerPool:
    """See the module.

    handlers     the function that answers a batch, for each kind of job
    workers      threads; a handler may be called from all of them at once
    max_batch    most items in one call; a job has `size` items
    max_waiting  most items that wait
    retry_after  seconds that a refused caller is told to wait
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        workers: int,
        max_batch: int,
        max_waiting: int,
        retry_after: float,
        observer: Observer | None = None,
    ) -> None:
        self._handlers = dict(handlers)
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._retry_after = retry_after
        self._observer = observer
        self._waiting: deque[_Job] = deque()
        self._running: dict[threading.Thread, int] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._threads: set[threading.Thread] = set()
        self._workers = workers
        for _ in range(workers):
            self._start()

    @property
    def alive(self) -> bool:
        """Whether jobs are accepted: False after `close`."""
        return not self._closing

    @property
    def waiting(self) -> int:
        """Items that no worker has taken yet."""
        with self._changed:
            return self._depth()

    def submit(self, kind: str, payload: Any, size: int = 1) -> Future[Any]:
        """Queue a job of `size` items and return the future of its result.

        Cancelling the future takes the job out of the line, unless a worker has it. Raises BusyError when the line
        is full and ModelError after `close`.
        """
        job = _Job(kind, payload, size)
        with self._changed:
            if self._closing:
                raise _stopped()
            # A job that is larger than the line still gets in when nobody else waits.
            if self._waiting and self._depth() + size > self._max_waiting:
                raise BusyError(self._retry_after)
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish the batches in hand, fail what still waits and stop. Idempotent."""
        with self._changed:
            self._closing = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in left:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(_stopped())
        for thread in list(self._threads):
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _depth(self) -> int:
        """Items that wait. Forgets the jobs that nobody waits for any more."""
        self._waiting = deque(job for job in self._waiting if not job.future.cancelled())
        return sum(job.size for job in self._waiting)

    def _run(self) -> None:
        me = threading.current_thread()
        batch: list[_Job] = []
        try:
            while batch := self._next_batch(me):
                self._answer(batch)
                with self._changed:
                    del self._running[me]
        except BaseException as error:
            # Only what is no Exception gets here, such as SystemExit from inside a library. Nobody may be left
            # waiting for this thread, and others need one in its place.
            LOG.error("A worker has crashed with %s: %s", type(error).__name__, error)
            with self._changed:
                self._running.pop(me, None)
                self._threads.discard(me)
                if not self._closing:
                    self._start()
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(_crashed(error))
            if self._observer is not None:
                self._observer.worker_restarted()

    def _next_batch(self, me: threading.Thread) -> list[_Job]:
        """Wait for jobs and take this worker's share of one kind; an empty list means: stop."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return []
                if self._depth():
                    break
            taken = self._share()
            chosen = set(map(id, taken))
            self._waiting = deque(job for job in self._waiting if id(job) not in chosen)
            self._running[me] = sum(job.size for job in taken)
            if self._waiting:
                self._changed.notify()
            return taken

    def _share(self) -> list[_Job]:
        """Jobs of the kind at the head of the line: an equal share of what waits and runs, at most `max_batch`."""
        kind = self._waiting[0].kind
        same = [job for job in self._waiting if job.kind == kind]
        total = sum(job.size for job in same) + sum(self._running.values())
        most = min(self._max_batch, -(-total // self._workers))
        taken, items = [same[0]], same[0].size
        for job in same[1:]:
            if items + job.size > most:
                break
            taken.append(job)
            items += job.size
        return taken

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
        finally:
            if self._observer is not None:
                self._observer.batch_done(jobs[0].kind, sum(job.size for job in jobs))
        for job, result in answers:
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


def _stopped() -> ModelError:
    return ModelError("The service is stopping and takes no more work.")


def _crashed(error: BaseException) -> ModelError:
    return ModelError(
        f"The worker that had this request has crashed with {type(error).__name__}: {error}. "
        "Another has taken its place: ask again."
    )
