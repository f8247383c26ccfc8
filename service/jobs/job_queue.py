"""Work in the background: one process at a time that runs `quartet index --json` or another command, and what it says.

The service stays responsive, since the work has a process, and less right to the processor, of its own; a crash
there costs the job alone. Jobs are remembered past a restart (`service.jobs.job_memory`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from quartet.errors import BusyError, InputError, NotFoundError
from quartet.schemas.jobs import Kind, MoreTexts, State
from service.jobs.job import RESULTS, Job
from service.jobs.job_command import command_of, environment_of, read_report
from service.jobs.job_memory import JobMemory
from service.observe.logs import REQUEST_ID
from service.problems import CONFLICT, ProblemError
from service.settings import Settings

LOG = logging.getLogger(__name__)

_MAX_REMEMBERED = 100
"""Jobs that are remembered; the oldest finished ones are forgotten first."""

_STOP_TIMEOUT = 30.0
"""Seconds that a job has after a request to stop to publish what is complete."""

_RETRY_AFTER = 30.0

_MAX_LINE_BYTES = 2**24
"""Bytes of the longest line that is read: a report lists every refused file."""


class Jobs:
    """See the module. For the event loop's thread. `done` is called after every run, in a thread.

    model  gives the name or folder of the model, None for that which the library knows of itself
    turn   held while a job runs; the queues of several libraries share one
    """

    def __init__(
        self,
        settings: Settings,
        done: Callable[[], None],
        model: Callable[[], str | None] = lambda: None,
        turn: asyncio.Lock | None = None,
    ) -> None:
        self._settings = settings
        self._done = done
        self._model = model
        self._turn = turn or asyncio.Lock()
        self._memory = JobMemory(None if settings.library is None else settings.library / "service")
        self._jobs = {job.id: job for job in self._memory.load()}
        self._line: asyncio.Queue[Job] = asyncio.Queue()
        self._closing = False
        self._process: asyncio.subprocess.Process | None = None
        self._worker: asyncio.Task[None] | None = None
        for job in self._jobs.values():
            if job.state == "queued":
                self._enqueue(job)

    def list(self) -> list[Job]:
        """Every job that is remembered, the newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job:
        """Raises NotFoundError."""
        if job_id not in self._jobs:
            raise NotFoundError(f"There is no job {job_id}. The service keeps the latest {_MAX_REMEMBERED} jobs.")
        return self._jobs[job_id]

    def folder(self, name: str, path: str) -> tuple[Path, Path]:
        """What a request names, a path in a configured folder, and that folder. Raises InputError.

        Links are followed before it is decided whether the path is in the folder.
        """
        folders = self._settings.job_folders
        if name not in folders:
            known = ", ".join(folders) or "none; set QUARTET_JOB_FOLDERS"
            raise InputError(f"There is no folder {name!r} to index. The folders are: {known}.")
        base = folders[name].resolve()
        try:
            wanted = (base / path).resolve()
            inside = wanted.is_relative_to(base) and wanted.exists()
        except PermissionError as error:
            raise InputError(f"{path!r} in the folder {name!r} cannot be read: {error.strerror}.") from None
        except (OSError, ValueError, RuntimeError):
            # A name that no file can have, or links that lead in a circle.
            inside = False
        if not inside:
            raise InputError(f"There is no {path!r} in the folder {name!r}. Give a path relative to that folder.")
        return wanted, base

    def repeated(self, key: str | None, source: str | None = None, kind: Kind = "index") -> Job | None:
        """The job that a request with this `Idempotency-Key` made. Raises ProblemError if it asked for another."""
        job = next((job for job in self._jobs.values() if key is not None and job.repeat_key == key), None)
        if job is not None and source is not None and (job.kind, job.source) != (kind, source):
            raise ProblemError(
                CONFLICT, f"The Idempotency-Key {key!r} was already used: {job.kind} of {job.source}. Send a new key."
            )
        return job

    def add(
        self,
        inputs: Sequence[Path],
        base: Path,
        source: str,
        root: Path,
        repeat_key: str | None = None,
        texts: MoreTexts | None = None,
    ) -> Job:
        """Queue a run of the indexer. Raises BusyError if too many wait."""
        options = ["--ocr"] if texts is not None and texts.ocr else []
        options += [f"--speech={texts.speech}"] if texts is not None and texts.speech else []
        return self._add(Job(tuple(inputs), base, root, source, options=tuple(options), repeat_key=repeat_key))

    def work(
        self,
        kind: Kind,
        source: str,
        options: Sequence[str] = (),
        repeat_key: str | None = None,
        inputs: Sequence[Path] = (),
    ) -> Job:
        """The job that such a request made before, else another command on the library, which is queued.

        Raises BusyError if too many wait, ProblemError as `repeated`.
        """
        job = self.repeated(repeat_key, source, kind)
        return job or self._add(Job(tuple(inputs), Path(), Path(), source, kind, tuple(options), repeat_key=repeat_key))

    def add_files(
        self,
        kind: Kind,
        source: str,
        options: Sequence[str],
        files: Sequence[Path],
        repeat_key: str | None = None,
    ) -> Job:
        """Queue a command on the library that reads uploaded files, in a folder of their own, which goes at its end.

        Raises BusyError if too many wait.
        """
        home = files[0].parent
        return self._add(Job(tuple(files), home, home, source, kind, tuple(options), home, repeat_key=repeat_key))

    def _add(self, job: Job) -> Job:
        if self.waiting >= self._settings.max_jobs:
            raise BusyError(_RETRY_AFTER)
        self._jobs[job.id] = job
        finished = [known.id for known in self._jobs.values() if known.finished is not None]
        for job_id in finished[: max(0, len(self._jobs) - _MAX_REMEMBERED)]:
            del self._jobs[job_id]
        self._enqueue(job)
        self._save()
        return job

    def _enqueue(self, job: Job) -> None:
        self._line.put_nowait(job)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    def _save(self) -> None:
        self._memory.save(self._jobs.values())

    def by_state(self) -> dict[str, float]:
        """How many of the remembered jobs are in each state."""
        return {state: sum(job.state == state for job in self._jobs.values()) for state in get_args(State)}

    @property
    def closing(self) -> bool:
        """Whether the service is ending."""
        return self._closing

    @property
    def waiting(self) -> int:
        return sum(job.state == "queued" for job in self._jobs.values())

    def cancel(self, job_id: str) -> Job:
        """Stop a job; what it has indexed so far is published. Raises NotFoundError, ProblemError if it has ended."""
        job = self.get(job_id)
        if job.state == "queued":
            _finish(job, "cancelled")
            self._save()
        elif job.state == "running":
            job.cancelling = True
            self._interrupt()
        else:
            raise ProblemError(CONFLICT, f"Job {job_id} has already ended: it is {job.state}.")
        return job

    async def close(self) -> None:
        """Stop what runs, which publishes what is complete. The next service goes on with it and with what waits."""
        self._closing = True
        self._interrupt()
        if self._worker is not None:
            process = self._process
            if process is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _STOP_TIMEOUT)
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    async def _work(self) -> None:
        while True:
            job = await self._line.get()
            async with self._turn:
                if job.state == "queued" and not self._closing:
                    await self._perform(job)
            if self._closing:
                return

    async def _perform(self, job: Job) -> None:
        # The task of all jobs began with the first one, in the context of the request that made it.
        REQUEST_ID.set(job.request_id)
        job.state, job.started = "running", datetime.now(UTC)
        LOG.info("Job %s started: %s.", job.id, job.source)
        try:
            outcome = await self._run(job)
        except asyncio.CancelledError:
            self._save()
            raise
        except Exception as error:
            LOG.exception("Job %s could not be run.", job.id)
            job.error, outcome = f"The indexer could not be run: {error}.", "failed"
        # A job has ended when what it published is searched.
        await asyncio.to_thread(self._done)
        if not self._closing or outcome == "done":
            _finish(job, outcome)
            LOG.info("Job %s is %s.", job.id, job.state)
        self._save()

    async def _run(self, job: Job) -> State:
        self._process = process = await asyncio.create_subprocess_exec(
            *command_of(job, self._settings),
            # Not by --model, with which a run changes the model of a library that has another.
            env=environment_of(self._model(), self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in the terminal of the service is for the service, which then tells its job.
            start_new_session=True,
            limit=_MAX_LINE_BYTES,
        )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        assert process.stdout is not None and process.stderr is not None
        errors_read = asyncio.create_task(process.stderr.read())
        try:
            async for line in process.stdout:
                read_report(job, line)
            code = await process.wait()
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
            self._process = None
            errors = (await errors_read).decode("utf-8", "replace").strip()
        if job.cancelling:
            return "cancelled"
        if any(getattr(job, result) is not None for result in RESULTS):
            return "done"
        last = errors.splitlines()[-1] if errors else f"it ended with status {code} and no message"
        job.error = last.removeprefix("Error: ")
        if job.given is not None:
            # Its place on this machine is nobody's business.
            job.error = job.error.replace(f"{job.given}/", "")
        LOG.error("Job %s has failed: %s", job.id, errors or last)
        return "failed"

    def _interrupt(self) -> None:
        """Ask the running process to stop, and end it if it has not stopped in time."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)

        def end() -> None:
            if process.returncode is None:
                _kill(process)

        asyncio.get_running_loop().call_later(_STOP_TIMEOUT, end)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the indexer and its decoders at once: one that hangs would hold what is read of them open for ever."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _finish(job: Job, state: State) -> None:
    job.state, job.finished = state, datetime.now(UTC)
    if job.given is not None:
        shutil.rmtree(job.given, ignore_errors=True)
