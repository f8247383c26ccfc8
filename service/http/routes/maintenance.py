"""`/v1/library/...`: checking the library and measuring how well it is searched, as jobs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from quartet.schemas.jobs import Job, VerifyRequest
from service.http.content_types import JSON_BODY, file_form, require_form
from service.http.routes.dependencies import EngineDep, problems
from service.http.routes.jobs import ACCEPTED, JobsDep, RepeatKey, accepted
from service.http.uploads.job_files import kept_files

router = APIRouter(prefix="/v1/library", tags=["jobs"], dependencies=[JSON_BODY])

_FILE = file_form(
    "Captioned videos: JSONL or MSR-VTT's JSON.",
    split={"type": "string", "description": "Only this split: train, val or test."},
)


@router.post(
    "/verify",
    summary="Check the library",
    status_code=202,
    responses={**ACCEPTED, **problems(400, 409, 413, 415, 422, 429, 503)},
)
async def verify_library(
    body: VerifyRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Compare every file of the library with its checksum, the index with the catalogue, and that with the videos."""
    source = "the library and its videos" if body.content else "the library"
    job = jobs.repeated(repeat_key, source)
    job = job or jobs.add_work("verify", source, ("--content",) if body.content else (), repeat_key=repeat_key)
    return accepted(request, response, job)


@router.post(
    "/evaluate/upload",
    summary="Evaluate on captions",
    status_code=202,
    responses={**ACCEPTED, **problems(400, 408, 409, 413, 415, 422, 429, 503, 507)},
    openapi_extra=_FILE,
)
async def evaluate_library(
    request: Request, response: Response, jobs: JobsDep, engine: EngineDep, repeat_key: RepeatKey = None
) -> Job:
    """Measure how well the library finds the captioned videos of a file. Videos that it does not have are left out."""
    require_form(request)
    job = jobs.repeated(repeat_key)
    if job is None:
        async with kept_files(request, most=1, fields=("split",)) as (files, fields):
            options = (f"--split={fields['split']}",) if "split" in fields else ()
            job = jobs.add_work("evaluate", files[0].name, options, files, repeat_key)
    return accepted(request, response, job)
