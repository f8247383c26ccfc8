"""Indexing in the background: one process at a time that runs `quartet index --json`, and what it says of itself.

The service stays responsive, since the work has a process, and less right to the processor, of its own; a crash
there costs the job alone. Jobs are remembered until the service ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quartet.errors import BusyError, InputError, NotFoundError
from quartet.schemas.jobs import State
from service.observe.logs import REQUEST_ID
from service.problems import CONFLICT, ProblemError
from service.settings import Settings

LOG = logging.getLogger(__name__)

_KEPT = 100
"""Jobs that are remembered; the oldest finished ones are forgotten first."""

_PATIENCE = 30.0
"""Seconds that a job which was told to stop has to publish what is complete."""

_RETRY_AFTER = 30.0

_LINE = 2**24
"""Bytes of the longest line that is read: a report lists every refused file."""


@dataclass
class Job:
    """One run of the indexer over files and folders.

    base  the folder that files are named from in what the job says
    root  the folder that they are named from in the library, if it is new there
    """

    inputs: tuple[Path, ...]
    base: Path
    root: Path
    source: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = "queued"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    finished: datetime | None = None
    progress: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    error: str | None = None
    cancelling: bool = False
    request_id: str | None = field(default_factory=REQUEST_ID.get)


class Jobs:
    """See the module. For the event loop's thread. `done` is called after every run, in a thread."""

    def __init__(self, settings: Settings, done: Callable[[], None]) -> None:
        self._settings = settings
        self._done = done
        self._jobs: dict[str, Job] = {}
        self._line: asyncio.Queue[Job] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._worker: asyncio.Task[None] | None = None

    def list(self) -> list[Job]:
        """Every job that is remembered, the newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job:
        """Raises NotFoundError."""
        if job_id not in self._jobs:
            raise NotFoundError(f"There is no job {job_id}. Jobs are forgotten when the service ends.")
        return self._jobs[job_id]

    def folder(self, name: str, path: str) -> tuple[Path, Path]:
        """What a request names, a path in a configured folder, and that folder. Raises InputError.

        Links are followed before it is decided whether the path lies in the folder.
        """
        folders = self._settings.job_folders
        if name not in folders:
            known = ", ".join(folders) or "none; set QUARTET_JOB_FOLDERS"
            raise InputError(f"There is no folder {name!r} to index. The folders are: {known}.")
        base = folders[name].resolve()
        try:
            wanted = (base / path).resolve()
            inside = wanted.is_relative_to(base) and wanted.exists()
        except (OSError, ValueError, RuntimeError):
            # A name that no file can have, or links that lead in a circle.
            inside = False
        if not inside:
            raise InputError(f"There is no {path!r} in the folder {name!r}. Give a path relative to that folder.")
        return wanted, base

    def add(self, inputs: Sequence[Path], base: Path, source: str, root: Path) -> Job:
        """Queue a job. Raises BusyError if too many wait."""
        if self.waiting >= self._settings.max_jobs:
            raise BusyError(_RETRY_AFTER)
        job = Job(tuple(inputs), base, root, source)
        self._jobs[job.id] = job
        finished = [known.id for known in self._jobs.values() if known.finished is not None]
        for job_id in finished[: max(0, len(self._jobs) - _KEPT)]:
            del self._jobs[job_id]
        self._line.put_nowait(job)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return job

    @property
    def waiting(self) -> int:
        return sum(job.state == "queued" for job in self._jobs.values())

    def cancel(self, job_id: str) -> Job:
        """Stop a job; what it has indexed so far is published. Raises NotFoundError, ProblemError if it has ended."""
        job = self.get(job_id)
        if job.state == "queued":
            _finish(job, "cancelled")
        elif job.state == "running":
            job.cancelling = True
            self._interrupt()
        else:
            raise ProblemError(CONFLICT, f"Job {job_id} has ended already: it is {job.state}.")
        return job

    async def close(self) -> None:
        """Stop what runs and forget what waits."""
        for job in self._jobs.values():
            if job.state in ("queued", "running"):
                self.cancel(job.id)
        if self._worker is not None:
            process = self._process
            if process is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _PATIENCE)
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    async def _work(self) -> None:
        while True:
            job = await self._line.get()
            if job.state != "queued":
                continue
            # This task began with the first job, in the context of the request that made it.
            REQUEST_ID.set(job.request_id)
            job.state, job.started = "running", datetime.now(UTC)
            LOG.info("Job %s begins: %s.", job.id, job.source)
            try:
                outcome = await self._run(job)
            except asyncio.CancelledError:
                _finish(job, "cancelled")
                raise
            except Exception as error:
                LOG.exception("Job %s could not be run.", job.id)
                job.error, outcome = f"The indexer could not be run: {error}.", "failed"
            # A job has ended when what it published is searched.
            await asyncio.to_thread(self._done)
            _finish(job, outcome)
            LOG.info("Job %s is %s.", job.id, job.state)

    async def _run(self, job: Job) -> State:
        settings = self._settings
        command = [
            sys.executable,
            "-P",
            "-m",
            "service",
            "index",
            "--json",
            "--wait",
            "--library",
            str(settings.library),
        ]
        if settings.model:
            command += ["--model", settings.model]
        for name, folder in settings.roots.items():
            command += ["--root", f"{name}={folder}"]
        command += ["--device", settings.device, "--base", str(job.root), "--", *map(str, job.inputs)]
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in the terminal of the service is for the service, which then tells its job.
            start_new_session=True,
            limit=_LINE,
        )
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        assert process.stdout is not None and process.stderr is not None
        said = asyncio.create_task(process.stderr.read())
        try:
            async for line in process.stdout:
                _read_report(job, line)
            code = await process.wait()
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
            self._process = None
            errors = (await said).decode("utf-8", "replace").strip()
        if job.cancelling:
            return "cancelled"
        if job.report is not None:
            return "done"
        last = errors.splitlines()[-1] if errors else f"it ended with status {code} and said nothing"
        job.error = last.removeprefix("Error: ")
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

        asyncio.get_running_loop().call_later(_PATIENCE, end)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the indexer and its decoders at once: one that hangs would hold what is read of them open for ever."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _finish(job: Job, state: State) -> None:
    job.state, job.finished = state, datetime.now(UTC)


def _read_report(job: Job, line: bytes) -> None:
    """Take in a line of `quartet index --json`. Paths are shown from the job's folder, not of the machine."""
    said = json.loads(line)
    match said.pop("event"):
        case "progress":
            job.progress = {**said, "file": _path_in_folder(job, said["file"])}
        case "report":
            job.progress = {**said.pop("progress"), "file": None}
            job.report = {
                **said,
                "refused": [{**one, "file": _path_in_folder(job, one["file"])} for one in said["refused"]],
            }


def _path_in_folder(job: Job, file: str | None) -> str | None:
    if file is None:
        return None
    path = Path(file)
    return str(path.relative_to(job.base)) if path.is_relative_to(job.base) else path.name
