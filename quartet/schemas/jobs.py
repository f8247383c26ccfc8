"""The JSON of jobs: runs of the indexer, and other work on a library that takes long."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["index", "captions", "verify", "evaluate", "repair", "tune", "relocate", "export"]
State = Literal["queued", "running", "done", "failed", "cancelled"]


class MoreTexts(BaseModel):
    """Texts to read in videos, besides their subtitles. Both are slow, and need an extra of the service."""

    model_config = ConfigDict(extra="forbid")

    ocr: bool = Field(default=False, description="Also read text on screen.")
    speech: str | None = Field(
        default=None,
        pattern=r"^\w[\w.-]*$",
        max_length=100,
        description="Also transcribe what is said, with this prepared model of the service.",
        examples=["whisper-small"],
    )


class JobRequest(MoreTexts):
    """Index a folder on the service's machine, or a part of it."""

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


class CaptionsAdded(BaseModel):
    """What became of a file of captions."""

    added: int = Field(description="Captions that are new in the library.")
    duplicates: int = Field(description="Captions that it had already.")
    total: int = Field(description="Captions that it has now.")
    generation: str = Field(description="The generation that has them.")
    unmatched: int = Field(description="Captions that name a video which the library does not have.")
    refused: list[str] = Field(description="Captions for which the model gave no usable vector.")


class LibraryProblem(BaseModel):
    """Something that is wrong with a library."""

    where: str = Field(description="index, catalogue, pictures, settings or videos.")
    detail: str


class Verification(BaseModel):
    """What is wrong with a library; nothing, if it is sound."""

    problems: list[LibraryProblem]


class Evaluation(BaseModel):
    """How well the library finds captioned videos, both ways."""

    markdown: str = Field(description="Tables of recall, ranks, SumR, mAP and nDCG.")
    results: dict[str, Any] = Field(description="The same figures, as `results.json` of `quartet evaluate` has them.")


class Repaired(BaseModel):
    """What a repair has restored, and what is lost."""

    healed: list[str] = Field(description="What was restored, a sentence each.")
    lost: list[str] = Field(description="What could not be restored.")
    encoded: int = Field(description="Clips and captions that were encoded again.")
    generation: str = Field(description="The generation that the library has now.")


class Tuned(BaseModel):
    """How a library is searched, after its training."""

    generation: str
    galleries: dict[str, str | None] = Field(
        description="Of clips and of captions: the codes that a search reads first. Null: it is exact, by scanning."
    )


class Relocated(BaseModel):
    """A root has its new folder."""

    root: str


class Exported(BaseModel):
    """What Milvus has after an export."""

    generation: str
    clips: int
    captions: int
    written: bool = Field(description="False if Milvus had this generation already.")


class RepairRequest(BaseModel):
    """Restore what is damaged or missing in a library."""

    model_config = ConfigDict(extra="forbid")

    accept_catalogue: bool = Field(default=False, description="Accept a catalogue that another program has changed.")


class TuneRequest(BaseModel):
    """Train the codebooks of a library again."""

    model_config = ConfigDict(extra="forbid")

    approximate_from: int = Field(
        default=200_000, ge=1000, le=10**12, description="Number of items from which the search is approximate."
    )


class RelocateRequest(BaseModel):
    """Set the new folder of a root whose videos have moved."""

    model_config = ConfigDict(extra="forbid")

    root: str = Field(min_length=1, max_length=1000, description="Name of a root of the library.", examples=["Videos"])
    folder: str = Field(max_length=200, description="Name of a folder that may be indexed.", examples=["films"])
    path: str = Field(default=".", max_length=1000, description="A folder in that folder. Default: the folder itself.")


class ExportRequest(BaseModel):
    """Copy the vectors of a library to the Milvus of the service."""

    model_config = ConfigDict(extra="forbid")

    replace: bool = Field(default=False, description="Replace another library of that name.")
    recall: float = Field(
        default=0.99, ge=0.5, le=1, description="Target recall@10 for the inverted lists of a large library."
    )


class VerifyRequest(BaseModel):
    """Check a library."""

    model_config = ConfigDict(extra="forbid")

    content: bool = Field(default=False, description="Read the videos too, and compare their hashes.")


class Job(BaseModel):
    """A job: indexing, or other work on the library. What it has done is in the field of its kind."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: Kind = "index"
    state: State
    source: str = Field(
        description="What it works on: a path in a folder, or files that were uploaded.", examples=["films/2026"]
    )
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: Progress | None
    report: Report | None = Field(description="When it has ended by itself, or published what was complete.")
    captions: CaptionsAdded | None = Field(default=None, description="Of a job `captions` that is done.")
    verification: Verification | None = Field(default=None, description="Of a job `verify` that is done.")
    evaluation: Evaluation | None = Field(default=None, description="Of a job `evaluate` that is done.")
    repair: Repaired | None = Field(default=None, description="Of a job `repair` that is done.")
    tuning: Tuned | None = Field(default=None, description="Of a job `tune` that is done.")
    relocation: Relocated | None = Field(default=None, description="Of a job `relocate` that is done.")
    export: Exported | None = Field(default=None, description="Of a job `export` that is done.")
    error: str | None = Field(description="Why it failed.")


class JobList(BaseModel):
    """The jobs since the service started, newest first, and what may be indexed."""

    folders: list[str] = Field(description="Names of the folders that may be indexed.")
    uploads: bool = Field(description="Whether videos may be uploaded to be indexed.")
    jobs: list[Job]
