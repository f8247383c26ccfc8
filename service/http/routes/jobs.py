"""`/v1/jobs`: indexing in the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from quartet.schemas.jobs import Job, JobList, JobRequest
from service.http.addressing import location
from service.http.api_description import reference
from service.http.routes.dependencies import EngineDep, problems
from service.http.stored_uploads import MAX_FILES, UploadStore
from service.jobs.job_queue import Jobs
from service.settings import Settings

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_NAMES = 3
"""Files of an upload that its job is named by."""

_FILES: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_FILES,
            "items": {"type": "string", "format": "binary"},
            "description": "Video files, each a part of its own.",
        }
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": reference(JobRequest)},
            "multipart/form-data": {"schema": _FILES},
        },
    }
}


def get_jobs(request: Request, engine: EngineDep) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


JobsDep = Annotated[Jobs, Depends(get_jobs)]


@router.post(
    "",
    summary="Index videos",
    status_code=202,
    responses={
        202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}},
        **problems(400, 408, 413, 422, 429, 503, 507),
    },
    openapi_extra=_BODY,
)
async def create(request: Request, response: Response, jobs: JobsDep) -> Job:
    """Index a folder of the service's machine (JSON), or uploaded videos (multipart form), which are kept.

    The work is done in the background. When it has ended, its clips are searched without anything else to do.
    """
    kept: UploadStore = request.app.state.kept
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with kept.received(request) as paths:
            home = paths[0].parent
            job = jobs.add([home], home, _file_summary(paths), root=home.parent)
    else:
        try:
            wanted = JobRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None
        path, base = jobs.folder(wanted.folder, wanted.path)
        job = jobs.add([path], base, f"{wanted.folder}/{path.relative_to(base)}".removesuffix("/."), root=base)
    response.headers["Location"] = location(request, f"/v1/jobs/{job.id}")
    return Job.model_validate(job)


def _file_summary(paths: Sequence[Path]) -> str:
    """What is uploaded, in a line: the first files, and how many more."""
    names = ", ".join(path.name for path in paths[:_NAMES])
    more = len(paths) - _NAMES
    return f"{names} and {more} more" if more > 0 else names


@router.get("", summary="All jobs", responses=problems(503))
async def list_jobs(request: Request, jobs: JobsDep) -> JobList:
    """The jobs since the service began, the newest first, and which folders may be indexed."""
    settings: Settings = request.app.state.settings
    return JobList(
        folders=list(settings.job_folders),
        uploads=settings.upload_folder is not None,
        jobs=[Job.model_validate(job) for job in jobs.list()],
    )


@router.get("/{job_id}", summary="A job", responses=problems(404, 422, 503))
async def get_job(job_id: str, jobs: JobsDep) -> Job:
    """State, progress, and in the end the report with the files that could not be used."""
    return Job.model_validate(jobs.get(job_id))


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=problems(404, 409, 422, 503))
async def cancel(job_id: str, jobs: JobsDep) -> Job:
    """Stop a job. What it has indexed so far is published; running it again goes on from there."""
    return Job.model_validate(jobs.cancel(job_id))
