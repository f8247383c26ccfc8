"""One run of a command of `quartet` in the background."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quartet.schemas.jobs import Kind, State
from service.observe.logs import REQUEST_ID

RESULTS = ("report", "captions", "verification", "evaluation", "repair", "tuning", "relocation", "export")
"""Fields of a job for what it has done. A command with `--json` gives one of them under the same name."""


@dataclass
class Job:
    """One run of the indexer over files and folders, or of another command on the library.

    options     of the command, in addition to those that every job has
    given       a folder of uploaded files that the job alone needs: it goes when the job has ended
    base        the folder that files are named from in what the job says
    root        the folder that they are named from in the library, if it is new there
    request_id  the request that made it, under which it logs
    repeat_key  what a client sends with a request that it repeats (`Idempotency-Key`)
    """

    inputs: tuple[Path, ...]
    base: Path
    root: Path
    source: str
    kind: Kind = "index"
    options: tuple[str, ...] = ()
    given: Path | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = "queued"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    finished: datetime | None = None
    progress: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    captions: dict[str, Any] | None = None
    verification: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    repair: dict[str, Any] | None = None
    tuning: dict[str, Any] | None = None
    relocation: dict[str, Any] | None = None
    export: dict[str, Any] | None = None
    error: str | None = None
    cancelling: bool = False
    request_id: str | None = field(default_factory=REQUEST_ID.get)
    repeat_key: str | None = None
