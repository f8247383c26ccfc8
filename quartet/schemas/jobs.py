"""The JSON of indexing jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRequest(BaseModel):
    """Index a folder on the service's machine, or a part of it."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(max_length=200, description="Name of a folder that may be indexed.", examples=["films"])
    path: str = Field(
        default=".",
        max_length=1000,
        description="A folder or a file in that folder. Default: all of it.",
        examples=["2026"],
    )


class Progress(BaseModel):
    """Progress of a job, as in `quartet index --json`."""

    done: int = Field(description="Files processed.")
    total: int
    file: str | None = Field(description="The file processed last.")
    clips: int = Field(description="Clips encoded in this job.")
    clips_per_second: float
    video_hours_per_hour: float
    seconds: float = Field(description="Seconds since the indexer started.")
    seconds_left: float | None
    bottleneck: str | None = Field(description="The slowest stage, which sets the pace.")
    busy: dict[str, float] = Field(description="Share of the time that each stage was busy.")


class Refused(BaseModel):
    """A file that could not be used."""

    file: str
    reason: str = Field(description="A fixed keyword for the cause.")
    detail: str


class Report(BaseModel):
    """What a job did."""

    indexed: int
    unchanged: int
    moved: int
    removed: int
    missing: int
    clips_total: int
    generation: str = Field(description="The generation that it published.")
    interrupted: bool
    refused: list[Refused]
    seconds: float


class Job(BaseModel):
    """An indexing job."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: State
    source: str = Field(
        description="What the job indexes: a path in a folder, or uploaded files.", examples=["films/2026"]
    )
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: Progress | None
    report: Report | None = Field(description="Present once the job has finished, or has published part of its work.")
    error: str | None = Field(description="Why it failed.")


class JobList(BaseModel):
    """The jobs since the service started, newest first, and what may be indexed."""

    folders: list[str] = Field(description="Names of the folders that may be indexed.")
    uploads: bool = Field(description="Whether videos may be uploaded to be indexed.")
    jobs: list[Job]
