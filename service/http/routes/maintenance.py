"""`/v1/library/...`: maintaining the library and measuring how well it is searched, as jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from quartet.errors import InputError
from quartet.schemas.jobs import ExportRequest, Job, RelocateRequest, RepairRequest, TuneRequest, VerifyRequest
from service.http.content_types import JSON_BODY, file_form, require_form
from service.http.routes.dependencies import EngineDep, problems
from service.http.routes.jobs import ACCEPTED, JobsDep, RepeatKey, accepted
from service.http.served_libraries import served
from service.http.uploads.job_files import kept_files

router = APIRouter(prefix="/v1/library", tags=["jobs"], dependencies=[JSON_BODY])

_FILE = file_form(
    "Captioned videos: JSONL or MSR-VTT's JSON.",
    split={"type": "string", "description": "Only this split: train, val or test."},
)
_JOB: dict[str, Any] = {
    "status_code": 202,
    "responses": {**ACCEPTED, **problems(400, 409, 413, 415, 422, 429, 503)},
}


@router.post("/verify", summary="Check the library", **_JOB)
async def verify_library(
    body: VerifyRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Compare every file of the library with its checksum, the index with the catalogue, and that with the videos."""
    source = "the library and its videos" if body.content else "the library"
    job = jobs.work("verify", source, ("--content",) if body.content else (), repeat_key)
    return accepted(request, response, job)


@router.post("/repair", summary="Repair the library", **_JOB)
async def repair_library(
    body: RepairRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Restore what is damaged or missing in the library, and list what is lost."""
    options = ("--accept-catalogue",) if body.accept_catalogue else ()
    job = jobs.work("repair", "the library", options, repeat_key)
    return accepted(request, response, job)


@router.post("/tune", summary="Train the codebooks again", **_JOB)
async def tune_library(
    body: TuneRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Set the size from which the library is searched approximately, and train its codebooks again."""
    source = f"the library, approximate from {body.approximate_from} items"
    options = (f"--approximate-from={body.approximate_from}",)
    job = jobs.work("tune", source, options, repeat_key)
    return accepted(request, response, job)


@router.post("/relocate", summary="Set the new folder of a root", **_JOB)
async def relocate_root(
    body: RelocateRequest,
    request: Request,
    response: Response,
    jobs: JobsDep,
    engine: EngineDep,
    repeat_key: RepeatKey = None,
) -> Job:
    """Set the folder in which the videos of a root are now: one that may be indexed, or a folder in it."""
    known = [root.name for root in await run_in_threadpool(engine.library.catalog.roots)]
    if body.root not in known:
        raise InputError(f"The library has no root {body.root!r}. Its roots are: {', '.join(known) or 'none'}.")
    folder, base = jobs.folder(body.folder, body.path)
    place = f"{body.folder}/{folder.relative_to(base)}".removesuffix("/.")
    if not folder.is_dir():
        raise InputError(f"{place} is a file. Name the folder that contains the videos now.")
    source = f"the root {body.root}, now in {place}"
    job = jobs.work("relocate", source, (), repeat_key, (Path(body.root), folder))
    return accepted(request, response, job)


@router.post("/export", summary="Export to Milvus", **_JOB)
async def export_library(
    body: ExportRequest, request: Request, response: Response, jobs: JobsDep, repeat_key: RepeatKey = None
) -> Job:
    """Copy the vectors of the library to the Milvus that the service is set to search (QUARTET_MILVUS)."""
    if not served(request).settings.milvus:
        raise InputError("This service has no Milvus to export to. Set QUARTET_MILVUS to its address.")
    options = (f"--recall={body.recall}", *(("--replace",) if body.replace else ()))
    job = jobs.work("export", "the library", options, repeat_key)
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
            job = jobs.add_files("evaluate", files[0].name, options, files, repeat_key)
    return accepted(request, response, job)
