"""`/v1/jobs`: indexing in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from quartet.errors import NotFoundError
from quartet.schemas.jobs import Job, JobList, JobRequest
from service.http.addressing import is_head, location
from service.http.content_types import JSON_BODY, form, require_form
from service.http.routes.dependencies import EngineDep, problems
from service.http.served_libraries import served
from service.http.uploads.stored_uploads import MAX_FILES, UploadStore
from service.jobs import job as jobs_module
from service.jobs.job_queue import Jobs
from service.settings import Settings

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[JSON_BODY])

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
            "description": "Video files, one per form part.",
        }
    },
}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}}
}
_POLL_INTERVAL = 0.3
"""Seconds between looks at a job whose events somebody reads."""
_HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent: proxies close what is silent."""

RepeatKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="A text that the client chooses. A repeated request with the same text starts no second job.",
    ),
]


def get_jobs(request: Request, engine: EngineDep) -> Jobs:
    jobs = served(request).jobs
    assert jobs is not None  # it comes with the engine
    return jobs


JobsDep = Annotated[Jobs, Depends(get_jobs)]


@router.post(
    "",
    summary="Index a folder",
    status_code=202,
    responses={**ACCEPTED, **problems(400, 408, 409, 413, 415, 422, 429, 503)},
)
async def create_job(
    body: JobRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Index a folder on the service's machine, or a part of it, in the background.

    When the job has ended, its clips are searchable.
    """
    path, base = jobs.folder(body.folder, body.path)
    source = f"{body.folder}/{path.relative_to(base)}".removesuffix("/.")
    job = jobs.repeated(repeat_key, source) or jobs.add([path], base, source, base, repeat_key, body)
    return accepted(request, response, job)


@router.post(
    "/upload",
    summary="Index uploaded videos",
    status_code=202,
    responses={**ACCEPTED, **problems(400, 408, 413, 415, 422, 429, 503, 507)},
    openapi_extra=form(_FILES),
)
async def create_upload_job(request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None) -> Job:
    """Save uploaded videos and index them in the background."""
    require_form(request)
    job = jobs.repeated(repeat_key)
    if job is None:
        store: UploadStore = request.app.state.kept
        async with store.received(request) as paths:
            home = paths[0].parent
            job = jobs.add([home], home, file_summary(paths), home.parent, repeat_key)
    return accepted(request, response, job)


def accepted(request: Request, response: Response, job: jobs_module.Job) -> Job:
    response.headers["Location"] = location(request, f"{served(request).address}/jobs/{job.id}")
    return Job.model_validate(job)


def file_summary(paths: Sequence[Path]) -> str:
    """What is uploaded, in a line: the first files, and how many more."""
    names = ", ".join(path.name for path in paths[:_NAMES])
    more = len(paths) - _NAMES
    return f"{names} and {more} more" if more > 0 else names


@router.get("", summary="All jobs", responses=problems(503))
async def list_jobs(request: Request, jobs: JobsDep) -> JobList:
    """The jobs since the service started, newest first, and the folders that may be indexed."""
    settings: Settings = request.app.state.settings
    return JobList(
        folders=list(settings.job_folders),
        uploads=settings.upload_folder is not None,
        jobs=[Job.model_validate(job) for job in jobs.list()],
    )


@router.get("/{job_id}", summary="A job", responses=problems(404, 422, 503))
async def get_job(job_id: str, jobs: JobsDep) -> Job:
    """State and progress. A finished job also has a report with the refused files."""
    return Job.model_validate(jobs.get(job_id))


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=problems(404, 409, 422, 503))
async def cancel_job(job_id: str, jobs: JobsDep) -> Job:
    """Stop a job. Clips indexed so far are published; the same job, started again, continues there."""
    return Job.model_validate(jobs.cancel(job_id))


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={
        200: {"description": "Events `job`, each with the job as JSON", "content": {"text/event-stream": {}}},
        **problems(404, 422, 503),
    },
)
async def follow_job(job_id: str, request: Request, jobs: JobsDep) -> Response:
    """The job as server-sent events: one after each change, until the job ends."""
    jobs.get(job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    content = "" if is_head(request.scope) else _events(job_id, jobs)
    if isinstance(content, str):
        return Response(content, media_type="text/event-stream", headers=headers)
    return StreamingResponse(content, media_type="text/event-stream", headers=headers)


async def _events(job_id: str, jobs: Jobs) -> AsyncIterator[str]:
    sent, silent = "", 0.0
    while True:
        try:
            job = Job.model_validate(jobs.get(job_id))
        except NotFoundError:
            return
        if (now := job.model_dump_json()) != sent:
            sent, silent = now, 0.0
            yield f"event: job\ndata: {now}\n\n"
        elif silent >= _HEARTBEAT:
            silent = 0.0
            yield ": still there\n\n"
        if job.finished is not None or jobs.closing:
            return
        await asyncio.sleep(_POLL_INTERVAL)
        silent += _POLL_INTERVAL
