"""What a job runs, `quartet ... --json`, and what the lines that the command prints tell of the job."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from quartet.schemas.jobs import Kind
from service.jobs.job import RESULTS, Job
from service.settings import Settings

_COMMANDS: Mapping[Kind, tuple[str, ...]] = {
    "index": ("index", "--wait"),
    "captions": ("captions", "add"),
    "verify": ("verify",),
    "evaluate": ("evaluate", "--skip-missing"),
    "repair": ("repair",),
    "tune": ("tune",),
    "relocate": ("relocate",),
    "export": ("export",),
}
_READS_VIDEOS = ("index", "verify", "repair")
_ENCODES = ("index", "captions", "evaluate", "repair")


def command_of(job: Job, settings: Settings) -> list[str]:
    """What a job runs."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "service",
        *_COMMANDS[job.kind],
        "--json",
        "--library",
        str(settings.library),
    ]
    if job.kind in _READS_VIDEOS:
        for name, folder in settings.roots.items():
            command += ["--root", f"{name}={folder}"]
    if job.kind in _ENCODES:
        command += ["--device", settings.device]
    if job.kind == "index":
        command += ["--base", str(job.root)]
    return [*command, *job.options, "--", *map(str, job.inputs)]


def environment_of(model: str | None, settings: Settings) -> dict[str, str]:
    """That of the service, with what is set for this library alone."""
    set_here = {
        "QUARTET_MODEL": model,
        "QUARTET_PRECISION": settings.precision,
        "QUARTET_MILVUS": settings.milvus,
        "QUARTET_CATALOG": settings.catalog,
        "QUARTET_STORE": settings.store,
        "QUARTET_LIBRARIES": None,
    }
    kept = {name: value for name, value in os.environ.items() if name not in set_here}
    return kept | {name: value for name, value in set_here.items() if value is not None}


def read_report(job: Job, line: bytes) -> None:
    """Take in a line of a command with `--json`. Paths are shown from the job's folder, not of the machine."""
    event = json.loads(line)
    match event.pop("event"):
        case "progress":
            job.progress = {**event, "file": _path_in_folder(job, event["file"])}
        case "report":
            job.progress = {**event.pop("progress"), "file": None}
            job.report = {
                **event,
                "refused": [{**one, "file": _path_in_folder(job, one["file"])} for one in event["refused"]],
            }
        case result if result in RESULTS:
            setattr(job, result, event)


def _path_in_folder(job: Job, file: str | None) -> str | None:
    if file is None:
        return None
    path = Path(file)
    return str(path.relative_to(job.base)) if path.is_relative_to(job.base) else path.name
