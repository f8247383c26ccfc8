"""Worker threads that gather concurrent requests into batches, fairly.

Eight queries in one call of a model cost little more than one. A free worker takes a waiting job and, with it, others
of the same kind: as many as leave an equal share to the other workers, so that all of them are busy with batches rather
than one with all and the others with the rest. Nothing waits for a batch to fill. Which jobs those are is decided by
`service.encoders.fair_line`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from quartet.errors import BusyError, ModelError
from service.encoders.fair_line import FairLine, Job

LOG = logging.getLogger(__name__)

Handler = Callable[[Sequence[Any]], Sequence[Any]]
"""Answers a batch of payloads of one kind: one result for each, in order; an exception among them fails its job."""


class Observer(Protocol):
    """The measures of the work: see `service.observe.metrics`."""

    def batch_done(self, kind: str, size: int) -> None: ...
    def worker_restarted(self) -> None: ...


class WorkerPool:
    """See the module.

    handlers     the function that answers a batch, for each kind of job
    workers      threads; a handler may be called from all of them at once
    max_batch    largest cost of one call, unless a single job costs more
    max_waiting  largest cost of what waits in each lane (see `FairLine`)
    retry_after  seconds that a refused caller should wait
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
        self._retry_after = retry_after
        self._observer = observer
        self._line = FairLine(max_waiting, workers)
        self._running: dict[threading.Thread, list[Job]] = {}
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
        """The cost of what no worker has taken yet."""
        with self._changed:
            return self._line.depth()

    def submit(self, kind: str, payload: Any, cost: int = 1, client: str = "") -> Future[Any]:
        """Queue a job and return the future of its result.

        Cancelling the future takes the job out of the line, unless a worker has it. Raises BusyError when the line
        is full and ModelError after `close`.
        """
        (future,) = self.submit_all([Job(kind, payload, cost, client=client)])
        return future

    def submit_all(self, jobs: Sequence[Job]) -> list[Future[Any]]:
        """As `submit`, for jobs of one client and lane, all or none of them. Jobs of the same `group` share batches."""
        with self._changed:
            if self._closing:
                raise _stopped()
            if not self._line.has_room(jobs):
                raise BusyError(self._retry_after)
            for job in jobs:
                self._line.add(job)
            self._changed.notify(len(jobs))
        return [job.future for job in jobs]

    def close(self) -> None:
        """Finish the batches in hand, fail what still waits and stop. Idempotent."""
        with self._changed:
            self._closing = True
            left = self._line.clear()
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

    def _run(self) -> None:
        me = threading.current_thread()
        batch: list[Job] = []
        try:
            while batch := self._next_batch(me):
                self._answer(batch)
                with self._changed:
                    del self._running[me]
                    # A lane that had as many workers as it may have takes another batch.
                    self._changed.notify()
        except BaseException as error:
            # Only what is not an Exception gets here, such as SystemExit from inside a library. Nobody may be left
            # waiting for this thread, and others need one in its place.
            LOG.error("A worker crashed with %s: %s", type(error).__name__, error)
            with self._changed:
                self._running.pop(me, None)
                self._threads.discard(me)
                if not self._closing:
                    self._start()
            if self._observer is not None:
                self._observer.worker_restarted()
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(_crashed(error))

    def _next_batch(self, me: threading.Thread) -> list[Job]:
        """Wait for jobs and take this worker's share of one kind; an empty list means: stop."""
        with self._changed:
            while not self._closing:
                taken = self._line.take(self._max_batch, self._workers, list(self._running.values()))
                if taken:
                    self._running[me] = taken
                    self._changed.notify()
                    return taken
                self._changed.wait()
            return []

    def _answer(self, batch: list[Job]) -> None:
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
                self._observer.batch_done(jobs[0].kind, sum(job.items for job in jobs))
        for job, result in answers:
            if isinstance(result, Exception):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


def _stopped() -> ModelError:
    return ModelError("The service is stopping and accepts no more requests.")


def _crashed(error: BaseException) -> ModelError:
    return ModelError(
        f"The worker for this request crashed with {type(error).__name__}: {error}. A new worker is running. Try again."
    )
