"""The JSON of indexing jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRequest(BaseModel):
    """Index a folder of the service's machine, or what lies in it."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(max_length=200, description="Name of a folder that may be indexed.", examples=["films"])
    path: str = Field(
        default=".", max_length=1000, description="A folder or a file in it; all of it if left out.", examples=["2026"]
    )


class Progress(BaseModel):
    """How far a job is, as `quartet index --json` says."""

    done: int = Field(description="Files that are dealt with.")
    total: int
    file: str | None = Field(description="The file just dealt with.")
    clips: int = Field(description="Clips encoded in this job.")
    clips_per_second: float
    video_hours_per_hour: float
    seconds: float = Field(description="Since the indexer began.")
    seconds_left: float | None
    bottleneck: str | None = Field(description="The stage that the others wait for.")
    busy: dict[str, float] = Field(description="Per stage, the part of the time in which it worked.")


class Refused(BaseModel):
    """A file that could not be used."""

    file: str
    reason: str = Field(description="A stable word for the cause.")
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
        description="What is indexed: a path in a folder, or files that were uploaded.", examples=["films/2026"]
    )
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: Progress | None
    report: Report | None = Field(description="When it has ended by itself, or published what was complete.")
    error: str | None = Field(description="Why it failed.")


class JobList(BaseModel):
    """The jobs since the service began, the newest first, and what may be indexed."""

    folders: list[str] = Field(description="Names of the folders that may be indexed.")
    uploads: bool = Field(description="Whether videos may be uploaded to be indexed.")
    jobs: list[Job]
