"""The jobs on the disk, so that a restart of the service forgets none: `LIBRARY/service/jobs.json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from indexer.disk.durable_files import replace_file
from service.jobs.job import Job

LOG = logging.getLogger(__name__)

_PATHS = ("base", "root")
_TIMES = ("created", "started", "finished")


class JobMemory:
    """See the module. Without a `folder`, or where it cannot be written, jobs are forgotten when the service ends."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / "jobs.json"

    def load(self) -> list[Job]:
        """The jobs of the service that ran before. What was under way waits again: indexing goes on where it ended."""
        if self._file is None or not self._file.exists():
            return []
        try:
            return [_read(one) for one in json.loads(self._file.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOG.error("Earlier jobs cannot be read from %s and are lost: %s", self._file, error)
            return []

    def save(self, jobs: Iterable[Job]) -> None:
        if self._file is None:
            return
        content = json.dumps([asdict(job) for job in jobs], default=str).encode()
        try:
            self._file.parent.mkdir(exist_ok=True)
            replace_file(self._file, content)
        except OSError as error:
            LOG.warning("The jobs cannot be saved to %s. A restart will lose them: %s", self._file, error)


def _read(given: dict[str, Any]) -> Job:
    known = {name: given[name] for name in (field.name for field in fields(Job)) if name in given}
    known["inputs"] = tuple(map(Path, known["inputs"]))
    known |= {name: Path(known[name]) for name in _PATHS}
    known |= {name: datetime.fromisoformat(known[name]) for name in _TIMES if known.get(name)}
    job = Job(**known)
    if job.state in ("queued", "running"):
        job.state, job.started, job.progress = "queued", None, None
    return job
